"""The command line of a dataclass of settings: one option a field, the text under a field as its help."""

from __future__ import annotations

import argparse
import ast
import difflib
import inspect
import re
import shutil
import textwrap
import typing
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn

from tempest_rainbow.config.settings import ConfigError
from tempest_rainbow.config.toml import convert, overlay

__all__ = ["Parser", "parse"]

_METAVAR = {int: "INT", float: "FLOAT", bool: "", str: "TEXT", type(None): ""}


def parse(base: Any, arguments: Sequence[str], prog: str) -> Any:
    """Return the dataclass ``base`` with the settings of a command line put over its fields.

    The options of a nested dataclass are called ``--group.setting``. ``none`` unsets a setting that may be None.

    Raises:
        SystemExit: help was asked for (code 0), or an option is unknown or its value of a wrong type (code 2).
    """
    parser = Parser(prog, description=_one_line(type(base).__doc__ or ""), usage=f"{prog} [OPTIONS]")
    hints = _add_options(parser, parser, base, "")
    spelt = [re.sub(r"^--[^=]+", lambda name: name[0].replace("_", "-"), each) for each in arguments]
    changes: dict[str, Any] = {}
    for name, value in vars(parser.parse_args(spelt)).items():
        group = changes
        *path, setting = name.split(".")
        for part in path:
            group = group.setdefault(part, {})
        try:
            group[setting] = _read(value, hints[name], f"--{name.replace('_', '-')}")
        except ConfigError as error:
            parser.error(str(error))
    return overlay(base, changes)


class Parser(argparse.ArgumentParser):
    """A parser whose help fits 100 columns and whose errors are one sentence."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog=prog, formatter_class=_HelpFormatter, allow_abbrev=False, **options)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse a command line; an unknown option is reported with the most similar one."""
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            close = difflib.get_close_matches(unknown[0].partition("=")[0], self._option_string_actions, 1)
            self.error(f"unknown argument {unknown[0]}" + (f"; did you mean {close[0]}?" if close else ""))
        return parsed

    def error(self, message: str) -> NoReturn:
        """Report a wrong command line and exit."""
        self.exit(2, f"{self.prog}: {message.removeprefix('argument ')}; see {self.prog} --help\n")


class _HelpFormatter(argparse.HelpFormatter):
    """Help below its option, in lines of at most 100 columns, the last of which is not a lone word."""

    def __init__(self, prog: str) -> None:
        width = min(shutil.get_terminal_size().columns, 100)
        super().__init__(prog, max_help_position=6, width=width)

    def _split_lines(self, text: str, width: int) -> list[str]:
        for narrower in range(width, width // 2, -1):
            lines = textwrap.wrap(_one_line(text), narrower)
            if len(lines) == 1 or len(lines[-1]) > width // 5:
                break
        return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


class _Switch(argparse.Action):
    """A setting that is on or off: ``--group.setting`` or ``--group.no-setting``."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        on = option_strings[0]
        off = re.sub(r"([^.-][^.]*)$", r"no-\1", on)
        super().__init__([on, off], dest, nargs=0, **options)

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, option_string == self.option_strings[0])


def _add_options(place: Any, parser: Parser, base: Any, prefix: str) -> dict[str, Any]:
    """Add an option for each setting of ``base`` and return the types of all by their dotted names."""
    hints, texts = typing.get_type_hints(type(base)), _texts(type(base))
    found: dict[str, Any] = {}
    for field in fields(base):
        name, hint, value = f"{prefix}{field.name}", hints[field.name], getattr(base, field.name)
        if is_dataclass(hint):
            group = parser.add_argument_group(
                f"{name.replace('_', '-')} options", _one_line(hint.__doc__ or "")
            )
            found |= _add_options(group, parser, value, f"{name}.")
            continue
        found[name] = hint
        text = f"{texts[field.name]} {_default(value)}".replace("%", "%%")
        options: dict[str, Any] = {"dest": name, "default": argparse.SUPPRESS, "help": text}
        if bool in (hint, *typing.get_args(hint)):
            options["action"] = _Switch
        elif typing.get_origin(hint) is tuple:
            options |= {"nargs": "*", "metavar": _metavar(typing.get_args(hint)[0])}
        else:
            options["metavar"] = _metavar(hint)
        place.add_argument(f"--{name.replace('_', '-')}", **options)
    return found


def _default(value: Any) -> str:
    """Return a default as help shows it, with spaces at which no line breaks."""
    if value is None or value == ():
        return ""
    shown = {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
    shown = " ".join(map(str, value)) if isinstance(value, tuple) else shown
    return f"(default: {shown})".replace(" ", "\N{NO-BREAK SPACE}")


def _metavar(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return "{" + ",".join(map(str, typing.get_args(hint))) + "}"
    return "".join(_METAVAR.get(kind, "PATH") for kind in typing.get_args(hint) or [hint])


def _read(value: Any, hint: Any, name: str) -> Any:
    """Return what was given on the command line as a setting's value: text may be a number."""
    if isinstance(value, list):
        return tuple(_read(item, typing.get_args(hint)[0], name) for item in value)
    for number in (int, float):
        with suppress(ConfigError, ValueError):
            return convert(value if isinstance(value, bool) else number(value), hint, name)
    return convert(value, hint, name)


def _texts(settings: type) -> dict[str, str]:
    """Return the text under each field of a dataclass, its bases' included."""
    if not is_dataclass(settings):
        return {}
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(settings))).body
    assert isinstance(body, ast.ClassDef)
    return (_texts(settings.__base__) if settings.__base__ else {}) | {
        field.target.id: str(text.value.value)
        for field, text in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }


def _one_line(text: str) -> str:
    return re.sub(r"[ \n]+", " ", text).strip(" ")

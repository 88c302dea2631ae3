"""Settings as TOML: written into a run's folder, and read back."""

from __future__ import annotations

import difflib
import json
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tempest_rainbow.config.settings import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["convert", "from_toml", "overlay", "to_toml"]

_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    type(None): "none",
}


def overlay(base: Any, values: Mapping[str, Any], where: str = "") -> Any:
    """Return the dataclass ``base`` with ``values`` (nested like it) put over its fields.

    Raises:
        ConfigError: a name is unknown or a value has the wrong type.
    """
    hints = typing.get_type_hints(type(base))
    changes = {}
    for name, value in values.items():
        place = f"{where}{name}"
        if name not in hints:
            close = difflib.get_close_matches(name, hints, 1)
            hint = f"; did you mean {where}{close[0]}?" if close else ""
            raise ConfigError(f"unknown setting {place}{hint}")
        present = getattr(base, name)
        if is_dataclass(present):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{place} is a group of settings, got {value!r}")
            changes[name] = overlay(present, value, f"{place}.")
        else:
            changes[name] = convert(value, hints[name], place)
    return replace(base, **changes)


def convert(value: Any, hint: Any, place: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value in (None, "none", "None") and type(None) in arguments:
            return None
        for choice in arguments:
            if choice is not type(None):
                try:
                    return convert(value, choice, place)
                except ConfigError:
                    continue
        raise ConfigError(f"{place} cannot be {value!r}: expected {_wanted(hint)}")
    if origin is Literal:
        if value in arguments:
            return value
        raise ConfigError(f"{place} must be one of {', '.join(map(str, arguments))}, got {value!r}")
    if origin is tuple and isinstance(value, (list, tuple)):
        kinds = [arguments[0]] * len(value) if arguments[-1:] == (Ellipsis,) else list(arguments)
        if len(kinds) == len(value):
            return tuple(convert(item, kind, place) for item, kind in zip(value, kinds, strict=True))
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, (str, Path)):
        return Path(value).expanduser()
    if isinstance(hint, type) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise ConfigError(f"{place} cannot be {value!r}: expected {_wanted(hint)}")


def _wanted(hint: Any) -> str:
    if typing.get_origin(hint) is tuple:
        return f"a list, each item {_wanted(typing.get_args(hint)[0])}"
    return " or ".join(_KINDS.get(kind, str(kind)) for kind in typing.get_args(hint) or [hint])


def to_toml(config: Any) -> str:
    """Return a configuration as TOML; a value of None becomes the string "none", which ``from_toml`` reads
    back."""
    lines: list[str] = []
    _emit(config, "", lines)
    return "\n".join(lines) + "\n"


def _emit(config: Any, prefix: str, lines: list[str]) -> None:
    groups = []
    for item in fields(config):
        value = getattr(config, item.name)
        if is_dataclass(value):
            groups.append((f"{prefix}{item.name}", value))
        else:
            lines.append(f"{item.name} = {_literal(value)}")
    for name, group in groups:
        lines.extend(["", f"[{name}]"])
        _emit(group, f"{name}.", lines)


def _literal(value: Any) -> str:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_literal, value))}]"
    text = json.dumps("none" if value is None else value, ensure_ascii=False, default=str)
    return text.replace("\x7f", "\\u007f")


def from_toml(text: str, base: Any) -> Any:
    """Put the settings of a TOML text over the configuration ``base``.

    Raises:
        ConfigError: the text is not valid TOML, or a setting is unknown or of a wrong type.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"this is not valid TOML: {error}") from error
    return overlay(base, values)

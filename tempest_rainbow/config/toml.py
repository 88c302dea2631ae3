"""Settings as TOML: written into a run's folder, and read back."""

from __future__ import annotations

import difflib
import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tempest_rainbow.config.settings import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["from_toml", "overlay", "spell_none", "to_toml"]


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
            changes[name] = _convert(value, hints[name], place)
    return replace(base, **changes)


def _convert(value: Any, hint: Any, place: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value in (None, "none") and type(None) in arguments:
            return None
        for choice in arguments:
            if choice is not type(None):
                try:
                    return _convert(value, choice, place)
                except ConfigError:
                    continue
        raise ConfigError(f"{place} cannot be {value!r}: expected {hint}")
    if origin is Literal:
        if value in arguments:
            return value
        raise ConfigError(f"{place} must be one of {', '.join(map(str, arguments))}, got {value!r}")
    if origin is tuple and isinstance(value, (list, tuple)):
        kinds = [arguments[0]] * len(value) if arguments[-1:] == (Ellipsis,) else list(arguments)
        if len(kinds) == len(value):
            return tuple(_convert(item, kind, place) for item, kind in zip(value, kinds, strict=True))
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, (str, Path)):
        return Path(value).expanduser()
    if isinstance(hint, type) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise ConfigError(f"{place} cannot be {value!r}: expected {getattr(hint, '__name__', hint)}")


def spell_none(settings: type, arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a command line with ``none``, as TOML files here have it, spelt ``None``, as the
    parser of command lines wants it, wherever the setting may be None."""
    optional = {f"--{name.replace('_', '-')}" for name in _optional(settings, "")}
    spelt = list(arguments)
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name.replace("_", "-") not in optional:
            continue
        if equals and value == "none":
            spelt[place] = f"{name}=None"
        elif not equals and arguments[place + 1 : place + 2] == ["none"]:
            spelt[place + 1] = "None"
    return spelt


def _optional(settings: type, prefix: str) -> Iterator[str]:
    """Yield the names of the settings that may be None, with those of their groups before them."""
    for name, hint in typing.get_type_hints(settings).items():
        if is_dataclass(hint):
            yield from _optional(typing.cast(type, hint), f"{prefix}{name}.")
        elif type(None) in typing.get_args(hint):
            yield f"{prefix}{name}"


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
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    text = "none" if value is None else str(value)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    for character in {c for c in escaped if ord(c) < 32 or ord(c) == 127}:
        escaped = escaped.replace(character, f"\\u{ord(character):04x}")
    return f'"{escaped}"'


def from_toml(text: str, base: Any) -> Any:
    """Put the settings of a TOML text over the configuration ``base``.

    Raises:
        ConfigError: the text is no TOML, or a setting is unknown or of a wrong type.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"this is no TOML: {error}") from error
    return overlay(base, values)

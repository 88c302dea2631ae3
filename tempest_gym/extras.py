"""What is installed: versions, the optional parts, and how to get one that is missing."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

__all__ = ["EXTRAS", "Extra", "extra_of", "missing_extra", "versions_of"]


@dataclass(frozen=True)
class Extra:
    """An optional part.

    Attributes:
        brings: what it is for.
        modules: what must be importable.
    """

    brings: str
    modules: tuple[str, ...]

    def missing(self) -> list[str]:
        """Return the modules that are not installed."""
        return [module for module in self.modules if find_spec(module) is None]


EXTRAS: dict[str, Extra] = {
    "rainbow": Extra("the trainer", ("torch", "tensorboard", "rich", "safetensors", "prompt_toolkit")),
    "dashboard": Extra("the trainer's dashboard in a browser", ("nicegui", "PIL")),
    "human": Extra("windows, playing yourself", ("pygame",)),
    "video": Extra("films of games", ("imageio_ffmpeg", "PIL")),
    "sb3": Extra("Stable-Baselines3", ("stable_baselines3",)),
    "ray": Extra("collecting on a cluster", ("ray",)),
    "minari": Extra("data sets", ("minari",)),
    "onnx": Extra("export as ONNX", ("onnx", "onnxruntime", "onnxscript")),
    "benchmark": Extra("the benchmark's report", ("scipy", "matplotlib")),
}
"""Every extra of the package by name, as pyproject.toml lists them."""


def extra_of(module: str | None) -> str:
    """Return the extra that brings a module, ``rainbow`` for one that no other extra lists."""
    return next((name for name, extra in reversed(EXTRAS.items()) if module in extra.modules), "rainbow")


def missing_extra(what: str, extra: str) -> str:
    """Return the sentence for ``what`` (a noun phrase) that needs an extra which is not installed."""
    return f'{what} needs the extra {extra!r}: pip install "tempest-gym[{extra}]"'


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of some packages, "missing" for those that are not installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found

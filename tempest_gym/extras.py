"""The optional parts of the installation, and how to get one that is missing."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

__all__ = ["EXTRAS", "Extra", "missing_extra"]


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


def missing_extra(what: str, extra: str) -> str:
    """Return the sentence for ``what`` (a noun phrase) that needs an extra which is not installed."""
    return f'{what} needs the extra {extra!r}: pip install "tempest-gym[{extra}]"'

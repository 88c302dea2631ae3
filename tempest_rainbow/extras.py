"""How to get an optional part of the installation that is missing."""

from __future__ import annotations

__all__ = ["EXTRA_OF", "missing_extra"]

EXTRA_OF = {
    "nicegui": "dashboard",
    "pygame": "human",
    "imageio_ffmpeg": "video",
    "PIL": "video",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
    "ray": "ray",
    "scipy": "benchmark",
    "matplotlib": "benchmark",
}
"""The extra that brings a module; all others belong to ``rainbow``."""


def missing_extra(what: str, extra: str) -> str:
    """Return the sentence for ``what`` (a noun phrase) that needs an extra which is not installed."""
    return f'{what} needs the extra {extra!r}: pip install "tempest-gym[{extra}]"'

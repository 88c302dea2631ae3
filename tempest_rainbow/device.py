"""The device of the network, usable cores, and memory that every step of learning needs again."""

from __future__ import annotations

import ctypes
import functools
import logging
import sys

import torch

from tempest_gym.cores import usable_cores

__all__ = ["choose_device", "keep_freed_memory", "usable_cores"]

_log = logging.getLogger(__name__)

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_LARGEST_ON_HEAP = 32 << 20
_KEPT = 512 << 20
_GROWTH = 64 << 20


@functools.cache
def keep_freed_memory() -> bool:
    """Let the C library keep freed blocks below 32 MiB; return whether it does.

    The GNU library maps large blocks afresh for every temporary of a step, and each first touch of a page is a fault:
    a fifth of a step on a virtual machine. Elsewhere nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((_M_MMAP_THRESHOLD, _LARGEST_ON_HEAP), (_M_TRIM_THRESHOLD, _KEPT), (_M_TOP_PAD, _GROWTH))
    listened = all(mallopt(name, value) == 1 for name, value in settings)
    if not listened:
        _log.debug("the C library refused the allocator's settings")
    return listened


def choose_device(name: str) -> torch.device:
    """Return the device called ``name``; "auto" takes CUDA, else Apple's MPS, else the CPU.

    Raises:
        ValueError: that device is not available.
    """
    if name == "auto":
        if torch.cuda.is_available():
            name = "cuda"
        elif torch.backends.mps.is_available():
            name = "mps"
        else:
            name = "cpu"
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"no CUDA device is available for {name!r}; use --device cpu or auto")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"no MPS device is available for {name!r}; use --device cpu or auto")
    return device

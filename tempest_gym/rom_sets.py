"""The ROM sets of Tempest that MAME knows: names, sizes and hashes, as ``mame -listxml tempest`` prints them.

A table: facts about the files, none of their content.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AVG_PROM", "ROM_FILES", "ROM_SETS", "RomSet"]

ROM_FILES: dict[str, tuple[int, str]] = {
    "136002-113.d1": (2048, "38a1e8a8f65b7887cf3e190269fe4ce2c6f818aa"),
    "136002-114.e1": (2048, "ed8ff0ca969da6672a7683b93d4fcf2935a0d903"),
    "136002-115.f1": (2048, "bd04fcfbbba995e08c3144c1474fcddaaeb1c700"),
    "136002-116.h1": (2048, "a013ede292189a8f5a907de882ee1a573d784b3c"),
    "136002-117.j1": (2048, "470d914fa52fce3786cb6330889876d3547dca65"),
    "136002-118.k1": (2048, "f213166d3970e0bd0f29d8dea8d6afa6990cce38"),
    "136002-119.lm1": (2048, "ea302e43a313a5a18115e74ddbaaedde0fbecda7"),
    "136002-120.mn1": (2048, "48f1e8bed7ec6afa0b4c549a30e5ec331c071e40"),
    "136002-121.p1": (2048, "9980606376a79ba94f8e2a325871a6c8d10d83fc"),
    "136002-122.r1": (2048, "c862a0d4ea330161e4c3cc8e5e9ad38893fffbd4"),
    "136002-123.np3": (2048, "686c8b9b8901262e743497cee7f2f7dd5cb3af7e"),
    "136002-124.r3": (2048, "a30a3662c740810c0f20e3712679606921b8ca06"),
    "136002-125.d7": (256, "24bc0366f394ad0ec486919212e38be0f08d0239"),
    "136002-126.a1": (32, "317b3397482f13b2d1bc21f296d3b3f9a118787b"),
    "136002-127.e1": (256, "55718cd8ec4bcf75076d5ef0ee1ed2551e19d9ba"),
    "136002-128.f1": (256, "d99a839874b45f64e14dae92a036e47a53705d16"),
    "136002-129.h1": (256, "d6f2ac07ca9ee385c08831098b0dcaf56808993b"),
    "136002-130.j1": (256, "c4fbaedd4ce1ad6a4128cbe902b297743edb606a"),
    "136002-131.k1": (256, "ce5f8ca34d06a5cfa0076b47400e61e0130ffe74"),
    "136002-132.l1": (256, "3816835a9ccf99a76d246adf204989d9261bb065"),
    "136002-133.d1": (4096, "7bef95db9b1102d6b1166bda0ccb276ef4cc3764"),
    "136002-134.f1": (4096, "89144baf1efc703b2336774793ce345b37829ee7"),
    "136002-135.j1": (4096, "cafbec28d682e98a74fdd5b8dfcfa33c64ff6a93"),
    "136002-136.lm1": (4096, "73aa7d6f4e7093ccb2d97f6344f354872bcfd72a"),
    "136002-137.p1": (4096, "19f611a77989d201d346b3e89fac5789663a01ce"),
    "136002-138.np3": (4096, "2b725ee1a57d423c7d7377a1744f48412e0f2f69"),
    "136002-217.j1": (2048, "b1a2c969e8897e335d5354de6ae04a65d4b2a1e4"),
    "136002-222.r1": (2048, "2f0af6fb7154c244c794f7247e5c16a1e06ddf7d"),
    "136002-235.j1": (4096, "a5f5fb630a48c5d25346f90d4c13aaa98f60b228"),
    "136002-237.p1": (4096, "04be074e45bf5cd95a852af97cd04e35b7f27fc4"),
    "136002-316.h1": (2048, "a5cc25015b98692673cfc1c7c2e9634efd750870"),
}
"""Size in bytes and SHA-1 of every file in any of the sets."""

AVG_PROM = "136002-125.d7"
"""State PROM of the vector generator, the same in all sets."""

_PROMS = (
    AVG_PROM,
    "136002-126.a1",
    "136002-132.l1",
    "136002-131.k1",
    "136002-130.j1",
    "136002-129.h1",
    "136002-128.f1",
    "136002-127.e1",
)


@dataclass(frozen=True)
class RomSet:
    """The files of one set.

    Attributes:
        program: file names in address order, from $9000 to $DFFF without gaps.
        vector: file names in address order, from $3000 to $3FFF.
        proms: vector generator's state PROM and the mathbox PROMs.
        mirror: the addresses from here to $DFFF appear again at the end of the address space.
    """

    program: tuple[str, ...]
    vector: tuple[str, ...]
    mirror: int
    proms: tuple[str, ...] = _PROMS

    @property
    def names(self) -> tuple[str, ...]:
        """All file names."""
        return self.program + self.vector + self.proms


def _small(h1: str, j1: str, r1: str) -> RomSet:
    """Return a set for boards with 2 KiB ROMs, whose revisions differ in three places."""
    program = ("113.d1", "114.e1", "115.f1", h1, j1, "118.k1", "119.lm1", "120.mn1", "121.p1", r1)
    return RomSet(
        tuple(f"136002-{name}" for name in program), ("136002-123.np3", "136002-124.r3"), mirror=0xD800
    )


def _large(j1: str, p1: str) -> RomSet:
    """Return a set for boards with 4 KiB ROMs, whose revisions differ in two places."""
    program = ("133.d1", "134.f1", j1, "136.lm1", p1)
    return RomSet(tuple(f"136002-{name}" for name in program), ("136002-138.np3",), mirror=0xD000)


ROM_SETS: dict[str, RomSet] = {
    "tempest": _large("235.j1", "237.p1"),
    "tempest1": _small("116.h1", "117.j1", "122.r1"),
    "tempest2": _small("116.h1", "217.j1", "222.r1"),
    "tempest3": _small("316.h1", "217.j1", "222.r1"),
    "tempest1r": _large("135.j1", "137.p1"),
}
"""The sets by MAME's name: ``tempest`` and ``tempest3`` are revision 3, ``tempest1`` and ``tempest1r``
revision 1, ``tempest2`` revision 2 of the game."""

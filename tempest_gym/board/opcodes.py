"""The 151 documented opcodes of the NMOS 6502: one table, from which the core is generated.

Each line of ``_TABLE`` is a mnemonic, then ``opcode:mode`` pairs. The cycle counts follow from mode and kind of
access (MCS6500 family programming manual, appendix A), with the exceptions that have their own bus sequence in
``_CYCLES``.
"""

from __future__ import annotations

from dataclasses import dataclass

_TABLE = """
ADC 69:imm 65:zp 75:zpx 6D:abs 7D:abx 79:aby 61:izx 71:izy
AND 29:imm 25:zp 35:zpx 2D:abs 3D:abx 39:aby 21:izx 31:izy
ASL 0A:acc 06:zp 16:zpx 0E:abs 1E:abx
BCC 90:rel
BCS B0:rel
BEQ F0:rel
BIT 24:zp 2C:abs
BMI 30:rel
BNE D0:rel
BPL 10:rel
BRK 00:imp
BVC 50:rel
BVS 70:rel
CLC 18:imp
CLD D8:imp
CLI 58:imp
CLV B8:imp
CMP C9:imm C5:zp D5:zpx CD:abs DD:abx D9:aby C1:izx D1:izy
CPX E0:imm E4:zp EC:abs
CPY C0:imm C4:zp CC:abs
DEC C6:zp D6:zpx CE:abs DE:abx
DEX CA:imp
DEY 88:imp
EOR 49:imm 45:zp 55:zpx 4D:abs 5D:abx 59:aby 41:izx 51:izy
INC E6:zp F6:zpx EE:abs FE:abx
INX E8:imp
INY C8:imp
JMP 4C:abs 6C:ind
JSR 20:abs
LDA A9:imm A5:zp B5:zpx AD:abs BD:abx B9:aby A1:izx B1:izy
LDX A2:imm A6:zp B6:zpy AE:abs BE:aby
LDY A0:imm A4:zp B4:zpx AC:abs BC:abx
LSR 4A:acc 46:zp 56:zpx 4E:abs 5E:abx
NOP EA:imp
ORA 09:imm 05:zp 15:zpx 0D:abs 1D:abx 19:aby 01:izx 11:izy
PHA 48:imp
PHP 08:imp
PLA 68:imp
PLP 28:imp
ROL 2A:acc 26:zp 36:zpx 2E:abs 3E:abx
ROR 6A:acc 66:zp 76:zpx 6E:abs 7E:abx
RTI 40:imp
RTS 60:imp
SBC E9:imm E5:zp F5:zpx ED:abs FD:abx F9:aby E1:izx F1:izy
SEC 38:imp
SED F8:imp
SEI 78:imp
STA 85:zp 95:zpx 8D:abs 9D:abx 99:aby 81:izx 91:izy
STX 86:zp 96:zpy 8E:abs
STY 84:zp 94:zpx 8C:abs
TAX AA:imp
TAY A8:imp
TSX BA:imp
TXA 8A:imp
TXS 9A:imp
TYA 98:imp
"""

STORES = frozenset({"STA", "STX", "STY"})
MODIFIERS = frozenset({"ASL", "LSR", "ROL", "ROR", "INC", "DEC"})
BRANCHES = frozenset({"BCC", "BCS", "BEQ", "BMI", "BNE", "BPL", "BVC", "BVS"})

_READ_CYCLES = {"imm": 2, "zp": 3, "zpx": 4, "zpy": 4, "abs": 4, "abx": 4, "aby": 4, "izx": 6, "izy": 5}
_STORE_CYCLES = {"zp": 3, "zpx": 4, "zpy": 4, "abs": 4, "abx": 5, "aby": 5, "izx": 6, "izy": 6}
_MODIFY_CYCLES = {"acc": 2, "zp": 5, "zpx": 6, "abs": 6, "abx": 7}
_CYCLES = {
    ("BRK", "imp"): 7,
    ("JMP", "abs"): 3,
    ("JMP", "ind"): 5,
    ("JSR", "abs"): 6,
    ("PHA", "imp"): 3,
    ("PHP", "imp"): 3,
    ("PLA", "imp"): 4,
    ("PLP", "imp"): 4,
    ("RTI", "imp"): 6,
    ("RTS", "imp"): 6,
}
_BYTES = {
    "imp": 1,
    "acc": 1,
    "imm": 2,
    "zp": 2,
    "zpx": 2,
    "zpy": 2,
    "izx": 2,
    "izy": 2,
    "rel": 2,
    "abs": 3,
    "abx": 3,
    "aby": 3,
    "ind": 3,
}


@dataclass(frozen=True)
class Opcode:
    """One documented opcode.

    Attributes:
        code: the byte, 0-255.
        name: mnemonic.
        mode: addressing mode: imp, acc, imm, zp, zpx, zpy, abs, abx, aby, izx ``(zp,X)``, izy ``(zp),Y``, ind, rel.
        cycles: CPU cycles without page crossing; for branches, when not taken.
        length: bytes.
    """

    code: int
    name: str
    mode: str
    cycles: int
    length: int

    @property
    def kind(self) -> str:
        """ "store", "modify", "branch" or "read" (everything else)."""
        if self.name in STORES:
            return "store"
        if self.name in MODIFIERS:
            return "modify"
        return "branch" if self.name in BRANCHES else "read"


def _cycles(name: str, mode: str) -> int:
    if (name, mode) in _CYCLES:
        return _CYCLES[name, mode]
    if mode in ("imp", "rel"):
        return 2
    if name in MODIFIERS:
        return _MODIFY_CYCLES[mode]
    return (_STORE_CYCLES if name in STORES else _READ_CYCLES)[mode]


def _parse() -> tuple[Opcode, ...]:
    opcodes = []
    for line in _TABLE.strip().splitlines():
        name, *entries = line.split()
        for entry in entries:
            code, mode = entry.split(":")
            opcodes.append(Opcode(int(code, 16), name, mode, _cycles(name, mode), _BYTES[mode]))
    return tuple(sorted(opcodes, key=lambda opcode: opcode.code))


OPCODES = _parse()
"""All 151, by code."""

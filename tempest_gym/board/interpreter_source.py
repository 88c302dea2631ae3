"""Writes the 6502's interpreter as Python text for numba, from the one opcode table.

Every opcode becomes one branch of a chain that LLVM turns into a jump table. Registers are locals: ``a x y sp pc``,
the flags ``c v d i`` as 0/1, and lazily ``n`` (bit 7 is N) and ``z`` (zero is Z). ``cyc`` is the cycle of the opcode
fetch; an access in the k-th cycle of an instruction happens at ``cyc + k - 1``. ``event`` is the cycle at which the
core has to look up from executing: next interrupt, end of the run, or 0 for "now". ``ahead`` is by how many cycles an
interrupt may come after the fetch that sees it: 0 or 1, by the board's model (`layout.MODELS`).
"""

from __future__ import annotations

from tempest_gym.board.layout import (
    BRIDGE_REACHED,
    CYCLES_EXHAUSTED,
    IRQ_CYCLES,
    MODEL,
    SKIP_IDLE,
    UNDOCUMENTED_OPCODE,
    WORD,
)
from tempest_gym.board.opcodes import OPCODES, Opcode

IDLE_LOOP_BYTES = 16
"""A backward branch over at most this many bytes may close an idle loop."""

SHORTEST_STAY = 30
"""Cycles before the next event with which it is worth going to translated code."""

_PROLOGUE = f'''\
def run(state, words, rom, table, translated, max_cycles):
    """Run one board to its next bridge point, at most max_cycles; returns why it stopped."""
    pc = words[{WORD["pc"]}]
    a = words[{WORD["a"]}]
    x = words[{WORD["x"]}]
    y = words[{WORD["y"]}]
    sp = words[{WORD["sp"]}]
    status = words[{WORD["p"]}]
    c = status & 1
    z = (status & 2) ^ 2
    i = (status >> 2) & 1
    d = (status >> 3) & 1
    v = (status >> 6) & 1
    n = status & 0x80
    cyc = words[{WORD["cycles"]}]
    limit = cyc + max_cycles
    event = ZERO
    rejected = ZERO - 1
    idle_pc = ZERO - 1
    idle_registers = ZERO
    idle_cyc = ZERO
    result = ZERO + {CYCLES_EXHAUSTED}
    ahead = np.int64(state[{MODEL}])
    words[{WORD["stop"]}] = 0
    if state[{SKIP_IDLE}] == 0:
        loop_bytes = ZERO
    else:
        loop_bytes = ZERO + {IDLE_LOOP_BYTES}
    while True:
        if cyc >= event:
            if words[{WORD["stop"]}] != 0:
                result = ZERO + {BRIDGE_REACHED}
                break
            seen = cyc + ahead
            if words[{WORD["synced"]}] == cyc and ahead == 0:
                seen = cyc - 1
            while words[{WORD["next_irq"]}] <= seen:
                words[{WORD["next_irq"]}] += {IRQ_CYCLES}
                words[{WORD["irq"]}] = 1
            if words[{WORD["watchdog"]}] <= cyc:
                cyc = bite(state, words, rom)
                idle_pc = ZERO - 1
                pc = rom[0xFFFC] | (np.int64(rom[0xFFFD]) << 8)
                sp = (sp - 3) & 0xFF
                i = ZERO + 1
                event = ZERO
                continue
            if cyc >= limit:
                break
            event = min(min(words[{WORD["next_irq"]}] - ahead, words[{WORD["watchdog"]}]), limit)
            masked = i
            if words[{WORD["irq_flag_delay"]}] != 0:
                masked = words[{WORD["irq_flag_delay"]}] - 1
                words[{WORD["irq_flag_delay"]}] = 0
                event = ZERO
            line = words[{WORD["irq"]}] | words[{WORD["irq_late"]}]
            words[{WORD["irq_late"]}] = 0
            if line != 0 and masked == 0:
                sp = push(state, sp, pc >> 8)
                sp = push(state, sp, pc)
                sp = push(state, sp, pack(n, v, d, i, z, c) & 0xEF)
                i = ZERO + 1
                pc = fetch_word(state, words, rom, ZERO + 0xFFFE, cyc + 5)
                cyc += 7
                idle_pc = ZERO - 1
                continue
        if translated != 0 and cyc + {SHORTEST_STAY} < event and table[pc & 0xFFFF] != 0:
            words[{WORD["a"]}] = a
            words[{WORD["x"]}] = x
            words[{WORD["y"]}] = y
            words[{WORD["sp"]}] = sp
            words[{WORD["n"]}] = n
            words[{WORD["z"]}] = z
            words[{WORD["c"]}] = c
            words[{WORD["v"]}] = v
            words[{WORD["d"]}] = d
            event = enter(state, rom, table, event, cyc, pc)
            cyc = words[{WORD["cycles"]}]
            pc = words[{WORD["pc"]}]
            a = words[{WORD["a"]}]
            x = words[{WORD["x"]}]
            y = words[{WORD["y"]}]
            sp = words[{WORD["sp"]}]
            n = words[{WORD["n"]}]
            z = words[{WORD["z"]}]
            c = words[{WORD["c"]}]
            v = words[{WORD["v"]}]
            d = words[{WORD["d"]}]
            idle_pc = ZERO - 1
            if cyc >= event:
                continue
        op = fetch(state, words, rom, pc, cyc)
'''

_EPILOGUE = f"""\
        pc &= 0xFFFF
    words[{WORD["pc"]}] = pc
    words[{WORD["a"]}] = a
    words[{WORD["x"]}] = x
    words[{WORD["y"]}] = y
    words[{WORD["sp"]}] = sp
    words[{WORD["p"]}] = pack(n, v, d, i, z, c)
    words[{WORD["cycles"]}] = cyc
    words[{WORD["n"]}] = 0
    words[{WORD["z"]}] = 0
    words[{WORD["c"]}] = 0
    words[{WORD["v"]}] = 0
    words[{WORD["d"]}] = 0
    words[{WORD["error"]}] = result
    return result
"""

_UNDOCUMENTED = [
    f"words[{WORD['error_pc']}] = pc",
    f"words[{WORD['error_opcode']}] = op",
    f"result = ZERO + {UNDOCUMENTED_OPCODE}",
    "break",
]

_LOADS = {"LDA": "a", "LDX": "x", "LDY": "y"}
_STORED = {"STA": "a", "STX": "x", "STY": "y"}
_COMPARED = {"CMP": "a", "CPX": "x", "CPY": "y"}
_LOGIC = {"AND": "&", "ORA": "|", "EOR": "^"}
_TRANSFERS = {"TAX": ("x", "a"), "TAY": ("y", "a"), "TSX": ("x", "sp"), "TXA": ("a", "x"), "TYA": ("a", "y")}
_STEPS = {"INX": ("x", "+"), "INY": ("y", "+"), "DEX": ("x", "-"), "DEY": ("y", "-")}
_FLAGS = {"CLC": ("c", 0), "SEC": ("c", 1), "CLD": ("d", 0), "SED": ("d", 1), "CLV": ("v", 0)}

_BYTE = "fetch(state, words, rom, pc + 1, cyc + 1)"
_WORD_OPERAND = "fetch_word(state, words, rom, pc + 1, cyc + 1)"

_HOT = frozenset(
    {
        *(
            (name, mode)
            for name in ("LDA", "STA")
            for mode in ("zp", "zpx", "abs", "abx", "aby", "izx", "izy")
        ),
        *(
            (name, mode)
            for name in ("LDX", "LDY", "STX", "STY")
            for mode in ("zp", "zpx", "zpy", "abs", "abx", "aby")
        ),
        *(
            (name, "imm")
            for name in ("LDA", "LDX", "LDY", "AND", "ORA", "EOR", "ADC", "SBC", "CMP", "CPX", "CPY")
        ),
        *(
            (name, "zp")
            for name in ("AND", "ORA", "EOR", "ADC", "SBC", "CMP", "CPX", "CPY", "BIT", "INC", "DEC")
        ),
        *((name, "acc") for name in ("ASL", "LSR", "ROL", "ROR")),
        ("BIT", "abs"),
    }
)
"""Opcodes with an operand that get code of their own; the others share it by addressing mode and operation."""


def _address(opcode: Opcode) -> list[str]:
    """Lines that leave the effective address in ``address``; a page crossing adds its cycle to ``cyc``."""
    mode = opcode.mode
    if mode == "zp":
        return [f"address = {_BYTE}"]
    if mode in ("zpx", "zpy"):
        return [f"address = ({_BYTE} + {mode[2]}) & 0xFF"]
    if mode == "abs":
        return [f"address = {_WORD_OPERAND}"]
    if mode == "izx":
        return [f"address = pointer(state, ({_BYTE} + x) & 0xFF)"]
    if mode == "izy":
        base, index = f"pointer(state, {_BYTE})", "y"
    else:
        base, index = _WORD_OPERAND, mode[2]
    lines = [f"base = {base}", f"address = (base + {index}) & 0xFFFF"]
    if opcode.kind in ("store", "modify"):
        return lines
    return [*lines, "cyc += ((base ^ address) >> 8) & 1"]


def _on_zero_page(opcode: Opcode) -> bool:
    return opcode.mode in ("zp", "zpx", "zpy")


def _load(opcode: Opcode) -> list[str]:
    """Lines that leave the operand in ``m``."""
    if opcode.mode == "imm":
        return [f"m = {_BYTE}"]
    if _on_zero_page(opcode):
        return [*_address(opcode), "m = byte(state, address)"]
    # The operand is read in the last cycle; a crossing has already moved cyc on by one.
    return [*_address(opcode), f"m = read(state, words, rom, address, cyc + {opcode.cycles - 1})"]


def _modify(name: str) -> list[str]:
    """Lines that turn ``m`` into the new value ``r``."""
    lines = {
        "ASL": ["r = (m << 1) & 0xFF", "c = m >> 7"],
        "LSR": ["r = m >> 1", "c = m & 1"],
        "ROL": ["r = ((m << 1) | c) & 0xFF", "c = m >> 7"],
        "ROR": ["r = (m >> 1) | (c << 7)", "c = m & 1"],
        "INC": ["r = (m + 1) & 0xFF"],
        "DEC": ["r = (m - 1) & 0xFF"],
    }[name]
    return [*lines, "n = r", "z = r"]


def _read_modify_write(opcode: Opcode) -> list[str]:
    if opcode.mode == "acc":
        return ["m = a", *_modify(opcode.name), "a = r"]
    assert opcode.mode == "zp"
    return [
        *_address(opcode),
        "m = byte(state, address)",
        *_modify(opcode.name),
        "if write_ram(state, words, address, r) != 0:",
        "    event = ZERO",
    ]


def _store(opcode: Opcode) -> list[str]:
    value = _STORED[opcode.name]
    if _on_zero_page(opcode):
        call = f"write_ram(state, words, address, {value})"
    else:
        call = f"write(state, words, rom, address, {value}, cyc + {opcode.cycles - 1})"
    return [*_address(opcode), f"if {call} != 0:", "    event = ZERO"]


def _operate(name: str) -> list[str]:
    """Lines of an operation on the accumulator (or X, Y) and the operand ``m``."""
    if name in _LOADS:
        return [f"{_LOADS[name]} = m", "n = m", "z = m"]
    if name in _LOGIC:
        return [f"a = a {_LOGIC[name]} m", "n = a", "z = a"]
    if name in _COMPARED:
        register = _COMPARED[name]
        return [f"n = {register} - m", f"c = ({register} - m + 256) >> 8", "n = n & 0xFF", "z = n"]
    if name == "BIT":
        return ["n = m", "v = (m >> 6) & 1", "z = a & m"]
    function = {"ADC": "add", "SBC": "subtract"}[name]
    return [
        f"packed = {function}(a, m, c, d)",
        "a = packed & 0xFF",
        "n = (packed >> 8) & 0xFF",
        "z = (packed >> 16) & 0xFF",
        "c = (packed >> 24) & 1",
        "v = packed >> 25",
    ]


def _skip(target: str, cycles: str) -> list[str]:
    """Lines for a jump backwards: an idle loop is left by jumping to the next event (see idle.py)."""
    return [
        f"if pc - {target} < loop_bytes and {target} <= pc and pc != rejected:",
        f"    if pc != idle_pc and not is_idle_loop(rom, {target}, pc):",
        "        rejected = pc",
        "    else:",
        "        registers = a | (x << 8) | (y << 16) | (pack(n, v, d, i, z, c) << 24)",
        "        if pc == idle_pc and registers == idle_registers:",
        f"            period = cyc + {cycles} - idle_cyc",
        f"            if event > cyc + {cycles}:",
        f"                cyc += (event - cyc - {cycles}) // period * period",
        "        idle_pc = pc",
        "        idle_registers = registers",
        f"        idle_cyc = cyc + {cycles}",
    ]


def _branches() -> list[str]:
    """Lines for all eight branches: bits 6-7 of the opcode choose a flag, bit 5 its value."""
    return [
        "selector = op >> 6",
        "if selector == 0:",
        "    flag = (n >> 7) & 1",
        "elif selector == 1:",
        "    flag = v",
        "elif selector == 2:",
        "    flag = c",
        "elif z == 0:",
        "    flag = ZERO + 1",
        "else:",
        "    flag = ZERO",
        "if flag == (op >> 5) & 1:",
        f"    m = {_BYTE}",
        "    base = pc + 2",
        "    target = (base + ((m ^ 0x80) - 0x80)) & 0xFFFF",
        "    cyc += ((base ^ target) >> 8) & 1",
        *["    " + line for line in _skip("target", "3")],
        "    cyc += 3",
        "    pc = target",
        "else:",
        "    if pc == idle_pc:",
        "        idle_pc = ZERO - 1",
        "    cyc += 2",
        "    pc += 2",
    ]


def _shared(opcodes: list[Opcode]) -> list[str]:
    """Lines for the opcodes without code of their own: the address by mode, then the operation."""
    lines: list[str] = ["mode = MODES[op]"]
    keyword = "if"
    for mode in sorted({opcode.mode for opcode in opcodes}):
        for kind in sorted({opcode.kind for opcode in opcodes if opcode.mode == mode}):
            example = next(opcode for opcode in opcodes if opcode.mode == mode and opcode.kind == kind)
            lines.append(f"{keyword} mode == {mode_number(example)}:")
            lines.extend("    " + line for line in _address(example))
            lines.append(f"    cyc += {example.cycles}")
            lines.append(f"    pc += {example.length}")
            keyword = "elif"
    lines += ["else:", *["    " + line for line in _UNDOCUMENTED]]
    modifying = sorted({opcode.name for opcode in opcodes if opcode.kind == "modify"})
    reading = sorted({opcode.name for opcode in opcodes if opcode.kind == "read"})
    lines += ["m = read(state, words, rom, address, cyc - READ_BACK[op])", "operation = OPERATIONS[op]"]
    keyword = "if"
    for name in reading:
        lines.append(f"{keyword} operation == {_NUMBERS[name]}:")
        lines.extend("    " + line for line in _operate(name))
        keyword = "elif"
    lines.append("else:")
    keyword = "if"
    for name in modifying:
        lines.append(f"    {keyword} operation == {_NUMBERS[name]}:")
        lines.extend("        " + line for line in _modify(name))
        keyword = "elif"
    return [
        *lines,
        "    if address >= 0x0800:",
        "        io_write(state, words, rom, address, m, cyc - 2)",
        "        io_write(state, words, rom, address, r, cyc - 1)",
        "        event = ZERO",
        "    elif write_ram(state, words, address, r) != 0:",
        "        event = ZERO",
    ]


_NUMBERS = {name: number for number, name in enumerate(sorted({opcode.name for opcode in OPCODES}))}


def mode_number(opcode: Opcode) -> int:
    """A number, not 0, for addressing mode and kind of access."""
    modes = sorted({other.mode for other in OPCODES})
    return 1 + 2 * modes.index(opcode.mode) + (opcode.kind == "modify")


def shared_opcodes() -> list[Opcode]:
    """The opcodes that share code by mode and operation."""
    return [
        opcode
        for opcode in OPCODES
        if opcode.mode not in ("imp", "rel", "ind")
        and opcode.name not in ("JMP", "JSR")
        and (opcode.name, opcode.mode) not in _HOT
    ]


def shared_tables() -> dict[str, list[int]]:
    """What the shared code looks up by opcode: mode, operation, and how long before its end the operand is read."""
    tables = {"MODES": [0] * 256, "OPERATIONS": [0] * 256, "READ_BACK": [0] * 256}
    for opcode in shared_opcodes():
        tables["MODES"][opcode.code] = mode_number(opcode)
        tables["OPERATIONS"][opcode.code] = _NUMBERS[opcode.name]
        tables["READ_BACK"][opcode.code] = 3 if opcode.kind == "modify" else 1
    return tables


def _push(value: str) -> list[str]:
    return [f"sp = push(state, sp, {value})"]


def _pull(name: str) -> list[str]:
    return ["sp = (sp + 1) & 0xFF", f"{name} = byte(state, 0x100 + sp)"]


def _unpack() -> list[str]:
    return [
        "n = m",
        "v = (m >> 6) & 1",
        "d = (m >> 3) & 1",
        "i = (m >> 2) & 1",
        "z = (m & 2) ^ 2",
        "c = m & 1",
    ]


def _delay() -> list[str]:
    """The next opcode fetch still goes by the old I flag."""
    return [f"words[{WORD['irq_flag_delay']}] = i + 1", "event = ZERO"]


def _control(opcode: Opcode) -> tuple[list[str], bool]:
    """Lines of stack, jump and flag opcodes, and whether they set ``pc`` themselves."""
    name = opcode.name
    if name in _FLAGS:
        flag, value = _FLAGS[name]
        return [f"{flag} = ZERO + {value}"], False
    if name in _TRANSFERS:
        target, source = _TRANSFERS[name]
        return [f"{target} = {source}", f"n = {source}", f"z = {source}"], False
    if name in _STEPS:
        register, sign = _STEPS[name]
        return [f"{register} = ({register} {sign} 1) & 0xFF", f"n = {register}", f"z = {register}"], False
    simple = {
        "NOP": [],
        "TXS": ["sp = x"],
        "CLI": [*_delay(), "i = ZERO"],
        "SEI": [*_delay(), "i = ZERO + 1"],
        "PHA": _push("a"),
        "PHP": _push("pack(n, v, d, i, z, c)"),
        "PLA": [*_pull("a"), "n = a", "z = a"],
        "PLP": [*_delay(), *_pull("m"), *_unpack()],
    }
    if name in simple:
        return simple[name], False
    jumps = {
        ("JMP", "abs"): [f"target = {_WORD_OPERAND}", *_skip("target", "3"), "pc = target"],
        ("JMP", "ind"): [
            f"base = {_WORD_OPERAND}",
            "m = read(state, words, rom, base, cyc + 3)",
            "pc = m | (read(state, words, rom, (base & 0xFF00) | ((base + 1) & 0xFF), cyc + 4) << 8)",
        ],
        # The high byte of the target is fetched after the pushes.
        ("JSR", "abs"): [
            f"m = {_BYTE}",
            "base = (pc + 2) & 0xFFFF",
            *_push("base >> 8"),
            *_push("base & 0xFF"),
            "pc = m | (fetch(state, words, rom, base, cyc + 5) << 8)",
        ],
        ("RTS", "imp"): [*_pull("m"), *_pull("base"), "pc = (m | (base << 8)) + 1"],
        ("RTI", "imp"): [
            *_pull("m"),
            *_unpack(),
            *_pull("m"),
            *_pull("base"),
            "pc = m | (base << 8)",
            "event = ZERO",
        ],
        ("BRK", "imp"): [
            "base = (pc + 2) & 0xFFFF",
            *_push("base >> 8"),
            *_push("base & 0xFF"),
            *_push("pack(n, v, d, i, z, c)"),
            "i = ZERO + 1",
            "pc = fetch_word(state, words, rom, ZERO + 0xFFFE, cyc + 5)",
        ],
    }
    return jumps[name, opcode.mode], True


def _body(opcode: Opcode) -> list[str]:
    jumped = False
    if opcode.kind == "store":
        lines = _store(opcode)
    elif opcode.kind == "modify":
        lines = _read_modify_write(opcode)
    elif (opcode.name, opcode.mode) in _HOT:
        lines = [*_load(opcode), *_operate(opcode.name)]
    else:
        lines, jumped = _control(opcode)
    lines = [*lines, f"cyc += {opcode.cycles}"]
    return lines if jumped else [*lines, f"pc += {opcode.length}"]


def core_source() -> str:
    """The whole interpreter as Python source: one function ``run(state, words, rom, max_cycles)``."""
    shared = shared_opcodes()
    parts = [_PROLOGUE]
    keyword = "if"
    for opcode in OPCODES:
        if opcode.kind == "branch" or opcode in shared:
            continue
        parts.append(f"        {keyword} op == 0x{opcode.code:02X}:  # {opcode.name} {opcode.mode}\n")
        parts.extend(f"            {line}\n" for line in _body(opcode))
        keyword = "elif"
    parts.append("        elif op & 0x1F == 0x10:  # branches\n")
    parts.extend(f"            {line}\n" for line in _branches())
    parts.append("        else:\n")
    parts.extend(f"            {line}\n" for line in _shared(shared))
    parts.append(_EPILOGUE)
    return "".join(parts)

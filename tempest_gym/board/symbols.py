"""Names of the functions in the compiled board, shared by those who write, compile and call them."""

from __future__ import annotations

PREFIX = "tempest_board_"
RUN = PREFIX + "run"
RUN_ROWS = PREFIX + "run_rows"
TRACE = PREFIX + "trace"
SIGNALS = ("claim", "exchange", "compare_exchange", "wait_while")
"""Functions by which threads synchronise, see `tempest_gym.board.atomics`."""

HANDLERS = ("io_read", "io_write", "add_decimal", "subtract_decimal")
"""Functions of the interpreter that translated programs call, in the order of their addresses in a table."""

FILL = "tempest_program_fill"
"""``void fill(int64_t *table)`` of the object code writes the functions' addresses into the table."""

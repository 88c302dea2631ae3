"""Help and errors of both programs: every option explained within 100 columns, a wrong value answered in a sentence."""

import contextlib
import io
import re
from itertools import pairwise

import pytest

from tempest_gym.cli import main as tempest_gym
from tempest_rainbow.cli import main as tempest_rainbow


def commands_of(program):
    """Return the commands that a program lists when it gets no arguments."""
    with contextlib.redirect_stdout(io.StringIO()) as page:
        assert program([]) == 0
    return re.findall(r"^ {2,4}([a-z]+)(?=\n| {2,})", page.getvalue(), re.MULTILINE)


COMMANDS = {program: commands_of(program) for program in (tempest_gym, tempest_rainbow)}
PAGES = [(program, command) for program, commands in COMMANDS.items() for command in commands]


def run(capsys, program, *arguments):
    """Return exit code, standard output and standard error of a command."""
    try:
        code = program(arguments)
    except SystemExit as end:
        code = end.code
    return code, *capsys.readouterr()


def option_helps(page):
    """Return the lines of help of every option of a page."""
    found = {}
    for entry in re.split(r"\n(?=  -)", page)[1:]:
        option, *lines = re.split(r"\n\s*|(?<=\S)\s{2,}", entry.strip().split("\n\n")[0])
        found[option] = lines
    return found


@pytest.mark.parametrize("columns", ["80", "100", "200"])
@pytest.mark.parametrize(("program", "command"), PAGES)
def test_every_option_is_explained_within_100_columns(program, command, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    code, page, error = run(capsys, program, command, "--help")
    assert (code, error) == (0, "")
    if program is tempest_rainbow or int(columns) <= 100:
        assert max(map(len, page.splitlines())) <= min(int(columns), 100)
    assert "None" not in page
    helps = option_helps(page)
    assert len(helps) == len(re.findall(r"^  -", page, re.MULTILINE))
    for option, lines in helps.items():
        assert len(" ".join(lines)) > 8, f"no help for {option}"


@pytest.mark.parametrize("columns", ["80", "100"])
@pytest.mark.parametrize("command", COMMANDS[tempest_rainbow])
def test_no_word_stands_alone_on_a_line_of_help(command, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    _, page, _ = run(capsys, tempest_rainbow, command, "--help")
    for option, lines in option_helps(page).items():
        for line in lines[1:]:
            assert len(line) > 10, f"{option}: {line!r} stands alone"
        for line, following in pairwise(lines):
            assert len(line) + len(following) > (int(columns) - 6) // 2, f"{option}: {line!r} is cut short"


def test_every_switch_of_train_works_the_same_way(capsys):
    _, page, _ = run(capsys, tempest_rainbow, "train", "--help")
    switches = [option for option in option_helps(page) if ", -" in option and not option.startswith("-h")]
    assert len(switches) > 12
    for switch in switches:
        on, off = switch.split(", ")
        assert off == re.sub(r"([^.-][^.]*)$", r"no-\1", on)
    assert not re.search(r"true|false", page, re.IGNORECASE)


@pytest.mark.parametrize(
    ("program", "arguments", "message"),
    [
        (tempest_rainbow, "train --envs x", "--envs cannot be 'x': expected a whole number"),
        (tempest_rainbow, "train --minutes soon", "--minutes cannot be 'soon': expected a number or none"),
        (
            tempest_rainbow,
            "train --network.trunk a b",
            "--network.trunk cannot be 'a': expected a whole number",
        ),
        (
            tempest_rainbow,
            "train --network.atoms 3.5",
            "--network.atoms cannot be '3.5': expected a whole number",
        ),
        (tempest_rainbow, "train --machine amiga", "--machine must be one of board, mame, got 'amiga'"),
        (
            tempest_rainbow,
            "train --listen-legacy-reply 4",
            "--listen-legacy-reply must be one of 3, 5, got '4'",
        ),
        (
            tempest_rainbow,
            "train --no-life-end",
            "unknown argument --no-life-end; did you mean --no-life-ends?",
        ),
        (tempest_rainbow, "train --deterministic maybe", "unknown argument maybe"),
        (tempest_rainbow, "train --envs", "--envs: expected one argument"),
        (tempest_rainbow, "bench --clients many", "--clients: invalid int value: 'many'"),
        (tempest_rainbow, "plot", "the following arguments are required: RUN"),
        (tempest_rainbow, "trian", "unknown command 'trian'; choose one of train, evaluate"),
        (tempest_gym, "bench --envs 0", "--envs: must be a whole number from 1 to 1,000,000,000, got '0'"),
        (tempest_gym, "play --seed x", "--seed: must be a whole number from 0"),
        (tempest_gym, "play --machine amiga", "--machine: invalid choice: 'amiga'"),
    ],
)
def test_a_wrong_command_line_is_answered_in_one_line(program, arguments, message, capsys):
    code, out, error = run(capsys, program, *arguments.split())
    assert (code, out) == (2, "")
    assert message in error
    assert error.count("\n") == 1


def test_without_arguments_both_programs_show_their_commands():
    assert {"doctor", "play", "replay", "bench", "verify", "precompile"} < set(COMMANDS[tempest_gym])
    assert {"train", "evaluate", "watch", "plot", "export", "bench"} < set(COMMANDS[tempest_rainbow])

"""One live display of long work on a terminal, and none elsewhere."""

import io
import logging
import re

import pytest
from rich.console import Console

from replicate import cli
from replicate.show.terminal import Display

CASES = {
    # terminal, quiet, verbose: bars shown, lines printed
    "terminal": ((True, False, False), True, False),
    "terminal, quiet": ((True, True, False), False, False),
    "terminal, quiet and verbose": ((True, True, True), False, False),
    "terminal, verbose": ((True, False, True), True, True),
    "pipe": ((False, False, False), False, False),
    "pipe, verbose": ((False, False, True), False, True),
}


def shown(terminal, quiet, verbose):
    """What two training runs, one after another, leave on the screen."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100)
    with Display(console, 4, quiet, verbose) as display:
        for name in ("T1", "T2h"):
            for epoch in (1, 2):
                display.bar((0, name), f"seed 0, {name}", 2, epoch, 0.75)
            if name == "T1":
                display.progress.refresh()
            display.end((0, name), f"seed 0, {name}", "done")
    return file.getvalue()


@pytest.mark.parametrize("case", CASES)
def test_bars_on_a_terminal_and_lines_when_wanted(case):
    arguments, bars, lines = CASES[case]
    text = shown(*arguments)
    assert ("epochs of all runs" in text) == bars
    assert ("accuracy 0.750" in text) == bars
    assert ("T2h: done" in text) == lines
    if not (bars or lines):
        assert text == ""


def test_all_epochs_are_counted_in_one_bar():
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown(True, False, False))
    counts = re.findall(r"epochs of all runs .*?(\d+)/4", text)
    assert counts[-1] == "4" and counts == sorted(counts)
    # A run that is over has no bar.
    assert "seed 0" not in text.splitlines()[-1]


def test_a_log_file_tells_every_run(tmp_path):
    with cli._logging(tmp_path):
        shown(False, True, False)
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert [line.split(" INFO ")[1] for line in lines] == ["seed 0, T1: done", "seed 0, T2h: done"]
    assert not [h for h in cli.log.handlers if isinstance(h, logging.FileHandler)]

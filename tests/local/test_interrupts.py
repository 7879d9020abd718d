"""A command that is interrupted ends in an orderly way, wherever it was."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from app.local.interrupts import NUMBERS

pytestmark = pytest.mark.usefixtures("in_terminal")

each_signal = pytest.mark.parametrize("number", NUMBERS, ids=lambda each: each.name)

CHECKOUT: Final = Path(__file__).parents[2]

NOHUP: Final = ("nohup",)
IN_BACKGROUND: Final = ("sh", "-c", '"$@" & wait $!', "sh")
"""A shell without a terminal starts so what ignores Ctrl-C."""

INTERRUPTED: Final = ["went on", "cleared away", "KeyboardInterrupt", "as before"]
"""What work says that is interrupted in the middle of a step: it ends the step, and then itself."""


def run(case: str, number: signal.Signals, *before: str) -> list[str]:
    """Return what a case of `tests.local.interrupted` says, and what it ended of where that was not well."""
    command = (*before, sys.executable, "-m", "tests.local.interrupted", case, number.name)
    ended = subprocess.run(
        command,
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    bad = [f"ended by {ended.returncode}: {ended.stderr}"] if ended.returncode or ended.stderr else []
    return ended.stdout.splitlines() + bad


@each_signal
def test_what_is_interrupted_in_the_middle_of_a_step_is_cancelled_at_its_end(number: signal.Signals) -> None:
    assert run("in_a_step", number) == INTERRUPTED


@each_signal
def test_a_second_signal_ends_what_does_not_end(number: signal.Signals) -> None:
    assert run("endless", number) == ["goes on", "KeyboardInterrupt", "as before"]


def test_what_is_not_interrupted_gives_its_result_and_leaves_signals_as_they_were() -> None:
    assert run("quiet", signal.SIGINT) == ["3", "as before"]


def test_a_cancellation_of_its_own_is_no_interruption() -> None:
    assert run("cancelled", signal.SIGINT) == ["CancelledError", "as before"]


def test_what_nohup_has_started_outlives_its_terminal() -> None:
    assert run("outlived", signal.SIGHUP, *NOHUP) == ["went on", "None", "as before"]


@pytest.mark.parametrize("start", [NOHUP, IN_BACKGROUND], ids=["nohup", "in the background"])
def test_what_does_not_hear_its_terminal_can_be_interrupted(start: tuple[str, ...]) -> None:
    assert run("in_a_step", signal.SIGINT, *start) == INTERRUPTED

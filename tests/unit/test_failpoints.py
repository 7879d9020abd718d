"""Places where a test may let a process die."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.failpoints import EXIT_STATUS

PROGRAM = """
from app.failpoints import failpoint
failpoint("place", "video one")
failpoint("place", "video two")
print("lived")
"""


def run(folder: Path, **wanted: object) -> "subprocess.CompletedProcess[str]":
    """Run a program with two such places, with the place armed."""
    if wanted:
        (folder / "place.json").write_text(json.dumps(wanted))
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"FAILPOINTS": str(folder)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_place_that_is_not_armed_does_nothing(tmp_path: Path) -> None:
    assert run(tmp_path).stdout == "lived\n"


@pytest.mark.parametrize(
    ("action", "status"),
    [("kill", -signal.SIGKILL), ("exit", EXIT_STATUS), ("segfault", -signal.SIGSEGV)],
)
def test_an_armed_place_ends_the_process_once(tmp_path: Path, action: str, status: int) -> None:
    died = run(tmp_path, action=action)
    lived = run(tmp_path)

    assert (died.returncode, died.stdout) == (status, "")
    assert (lived.returncode, lived.stdout) == (0, "lived\n")
    assert (tmp_path / "place.hits").read_text().endswith(" video one\n")


def test_it_happens_to_the_named_subject_only_and_every_time_when_that_is_wanted(tmp_path: Path) -> None:
    assert run(tmp_path, action="kill", subject="three", times=0).stdout == "lived\n"

    first = run(tmp_path, action="kill", subject="two", times=0)
    second = run(tmp_path)

    assert first.returncode == second.returncode == -signal.SIGKILL
    assert [line.partition(" ")[2] for line in (tmp_path / "place.hits").read_text().splitlines()] == [
        "video two"
    ] * 2


def test_without_the_variable_nothing_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "place.json").write_text('{"action": "kill"}')

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout == "lived\n"

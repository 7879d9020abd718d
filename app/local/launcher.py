"""Entry: becomes one program of the stack, which is killed when the supervisor is gone.

Run by the supervisor as a plain script, without `site` and without the rest of Kadr, so that it costs a few
milliseconds: `python -I -S launcher.py FILE`. FILE says the command, its environment and its folder, so
that no secret stands in a command line or in the supervisor's configuration.
"""

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
"""Of Linux's prctl.h; unlike most of a process's state it survives exec."""

_BACK_OFF_SECONDS = 1.0
_QUICK_SECONDS = 10.0
"""A program that was started less than this ago has probably failed: it waits before the next try."""


def main() -> None:
    """Read the launch file, hold back after a quick failure, and become the program."""
    path = Path(sys.argv[1])
    launch = json.loads(path.read_text(encoding="utf-8"))
    _die_with_parent()
    _hold_back(path.with_suffix(".started"))
    if launch["directory"]:
        os.chdir(launch["directory"])
    command = launch["command"]
    os.execve(command[0], command, {**os.environ, **launch["environment"]})  # noqa: S606 - a list, no shell


def _die_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() == 1:  # the supervisor was gone before the line above
        sys.exit(0)


def _hold_back(stamp: Path) -> None:
    """Wait when the last start was a moment ago; the clock is the machine's, and starts at boot."""
    try:
        elapsed = time.monotonic() - float(stamp.read_text(encoding="ascii"))
    except (OSError, ValueError):
        elapsed = _QUICK_SECONDS
    if 0 <= elapsed < _QUICK_SECONDS:
        time.sleep(_BACK_OFF_SECONDS)
    stamp.write_text(repr(time.monotonic()), encoding="ascii")


if __name__ == "__main__":
    main()

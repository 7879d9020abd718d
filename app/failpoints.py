"""Places where a test may let this process die: between the statements of every commit point.

Nothing happens unless the variable `FAILPOINTS` names a folder when the process starts, which no operator
does. There, the file `NAME.json` arms the place of that name:

    {"action": "kill", "subject": "", "times": 1}

`action` is `kill` (SIGKILL), `exit` (`os._exit`, no handler runs) or `segfault`. It happens only to a
`subject` that contains the given text, and so many times; 0 is every time. The file `NAME.hits` gets a line
for each time. The idea and the name are those of FreeBSD's fail(9).
"""

import ctypes
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

FOLDER: Final = os.environ.get("FAILPOINTS")

EXIT_STATUS: Final = 99
"""Of `exit`: none that anything else here ends with."""


def failpoint(name: str, subject: str = "") -> None:
    """Die here if a test wants it.

    Args:
        name: of the place.
        subject: what is worked on, such as a video's id.
    """
    if FOLDER:
        strike(Path(FOLDER), name, subject)


def strike(folder: Path, name: str, subject: str) -> None:
    """Do what the file of a place says, if there is one and it means this subject."""
    armed = folder / f"{name}.json"
    try:
        wanted = json.loads(armed.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not armed, or being armed
        return
    if wanted.get("subject", "") not in subject:
        return
    times = int(wanted.get("times", 1))
    try:
        if times == 1:
            armed.unlink()  # whoever removes it is the one that dies
        elif times > 1:
            armed.write_text(json.dumps(wanted | {"times": times - 1}), encoding="utf-8")
    except FileNotFoundError:
        return
    with (folder / f"{name}.hits").open("a", encoding="utf-8") as hits:
        hits.write(f"{os.getpid()} {subject}\n")
    ACTIONS[wanted["action"]]()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _exit() -> None:
    os._exit(EXIT_STATUS)


def _segfault() -> None:
    ctypes.string_at(0)


ACTIONS: Final[dict[str, Callable[[], None]]] = {"kill": _kill, "exit": _exit, "segfault": _segfault}

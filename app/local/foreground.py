"""`up` in the foreground until Ctrl-C, and `down` from another terminal."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from app.local.failures import SupervisorGone
from app.local.folder import DataFolder
from app.local.interrupts import interruptible
from app.local.program import last_line
from app.local.stack import READY_SECONDS, LocalStack
from app.local.supervision import Supervisor

_LOOK_SECONDS = 1.0


def run_in_foreground(
    stack: LocalStack, *, on_ready: Callable[[], None], on_trouble: Callable[[str], None]
) -> None:
    """Run a stack until Ctrl-C, SIGTERM, a hang-up, or `stop_running`; nothing is left on return.

    Args:
        stack: not started yet.
        on_ready: called once, when every program is ready.
        on_trouble: called with a sentence when a program ends because an operator has to act.

    Raises:
        KadrError: the stack did not get ready; the sentence says why.
    """
    with interruptible(), contextlib.suppress(KeyboardInterrupt), stack:
        stack.wait_ready(READY_SECONDS)
        on_ready()
        _watch(stack, on_trouble)


def stop_running(data_dir: Path) -> bool:
    """Stop what runs on a data folder, whoever started it; answers whether anything did."""
    folder = DataFolder(data_dir.expanduser().absolute())
    if not folder.is_held():
        return False
    Supervisor(folder).shut_down()
    folder.remove_sockets()
    return True


def _watch(stack: LocalStack, on_trouble: Callable[[str], None]) -> None:
    """Return when somebody else has stopped the stack."""
    told: set[str] = set()
    with contextlib.suppress(SupervisorGone):
        while True:
            refused = {now.name for now in stack.status() if now.has_refused}
            for name in refused - told:
                on_trouble(f"{name} stopped: {last_line(stack.folder.log(name))}")
            told = refused
            time.sleep(_LOOK_SECONDS)

"""Our own processes killed, stopped, frozen, multiplied, and robbed of their tables."""

import os
import shutil
import signal
import time
from contextlib import ExitStack
from functools import partial
from random import Random
from typing import Final

from app.local.processes import ROLES
from tests.faults.fault import Fault, Field

EXPELLED_WITHIN: Final = 60.0
"""Seconds until the broker has expelled a frozen worker: its session, and some for a busy machine."""

STOPPED_WITHIN: Final = 40.0
"""Seconds for an orderly stop: the worker ends itself after 15 s at the latest."""

SECOND_READY_WITHIN: Final = 90.0
"""Seconds until a further worker is ready; the model of an inference worker has to be loaded."""

GROUPS: Final = ("runner", "inference", "results")
"""Roles whose workers read streams: the broker expels a frozen one."""


def wait_for_pid(at: Field, name: str) -> int:
    """Return the process id of a program as soon as it runs."""
    found: list[int] = []

    def is_running() -> bool:
        found[:] = [at.pipeline.stack.pid_of(name)]
        return found[0] != 0

    at.pipeline.wait_until(is_running, seconds=30, otherwise=lambda: f"{name} does not run")
    return found[0]


def kill(name: str, at: Field, _random: Random) -> None:
    """Kill -9 a program and its children."""
    wait_for_pid(at, name)
    at.pipeline.stack.kill_program(name)


def terminate(name: str, at: Field, _random: Random) -> None:
    """Ask a process to stop; it must do so in time, and is started again."""
    pid = wait_for_pid(at, name)
    os.kill(pid, signal.SIGTERM)
    at.pipeline.wait_until(
        lambda: at.pipeline.stack.pid_of(name) != pid,
        seconds=STOPPED_WITHIN,
        otherwise=lambda: f"{name} did not stop when asked to",
    )


def freeze(name: str, at: Field, random: Random) -> None:
    """Freeze a process until the others have given it up, then let it go on as a zombie."""
    wait_for_pid(at, name)
    stack = at.pipeline.stack
    stack.freeze_program(name)
    try:
        if name in GROUPS:
            at.pipeline.wait_until(
                lambda: at.pipeline.has_no_members(name),
                seconds=EXPELLED_WITHIN,
                otherwise=lambda: f"{name} was not expelled",
            )
        else:
            time.sleep(at.pipeline.settings.outbox_lease.total_seconds() + 1)
        time.sleep(random.uniform(0, 4))
    finally:
        stack.thaw_program(name)


def freeze_beside_another(role: str, at: Field, random: Random) -> None:
    """Freeze one of two workers past its lease, so that the other takes over what it had claimed."""
    settings = at.pipeline.settings
    lease = {"outbox": settings.outbox_lease, "runner": settings.split_lease}[role]
    stack = at.pipeline.stack
    with at.pipeline.another_worker(role, f"{role}-2"):
        wait_for_pid(at, role)
        at.submit("long")
        time.sleep(random.uniform(0, 1.5))
        stack.freeze_program(role)
        try:
            at.submit("short-1")
            time.sleep(lease.total_seconds() + random.uniform(1, 4))
        finally:
            stack.thaw_program(role)
        time.sleep(random.uniform(0, 3))


def join_and_leave(role: str, at: Field, random: Random) -> None:
    """Let a second and a third worker of a role join and leave while work runs."""
    with ExitStack() as opened:
        for number in (2, 3):
            worker = at.pipeline.another_worker(role, f"{role}-{number}", ready_within=SECOND_READY_WITHIN)
            opened.enter_context(worker)
            at.submit(random.choice(("short-1", "short-2")))
        time.sleep(random.uniform(0, 3))


def lose_table(how: str, at: Field, random: Random) -> None:
    """Delete the table folder while the results worker is down: it comes back from the changelog."""
    stack = at.pipeline.stack
    wait_for_pid(at, "results")
    if how == "killed":
        stack.kill_program("results")
    stack.stop_program("results")
    try:
        time.sleep(random.uniform(0, 2))
        shutil.rmtree(stack.folder.root / "faust" / "results")
    finally:
        stack.start_program("results")


FAULTS: tuple[Fault, ...] = (
    *(Fault("kill", name, partial(kill, name)) for name in ("api", *ROLES)),
    *(Fault("terminate", name, partial(terminate, name)) for name in ("api", *ROLES)),
    *(Fault("freeze", name, partial(freeze, name)) for name in ("api", *ROLES)),
    *(Fault("lease", role, partial(freeze_beside_another, role)) for role in ("outbox", "runner")),
    *(Fault("join-and-leave", role, partial(join_and_leave, role)) for role in ROLES),
    *(Fault("table-lost", how, partial(lose_table, how)) for how in ("stopped", "killed")),
)

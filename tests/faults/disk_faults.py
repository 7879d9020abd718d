"""A disk that is full for a while, for real: a small one is laid over the folder and filled to the brim."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Final

from tests.faults.fault import Fault, Field
from tests.support.small_disk import MEBIBYTE, SmallDisk, obstacle

SIZE: Final = 96 * MEBIBYTE
"""Room for the stores of all partitions, and for every clip of a round at once."""

READY_WITHIN: Final = 60.0

FILL_EVERY: Final = 0.5
"""Seconds: what is freed meanwhile is taken too."""


def fill_work_folder(at: Field, random: Random) -> None:
    """Let inputs find no room, or not enough of it, or not even a folder."""
    with _on_a_small_disk(at, "runner", "work") as disk:
        at.submit("long")
        time.sleep(random.uniform(0, 2))
        _keep_full(at, disk, leave=random.choice((0, 20_000, MEBIBYTE)))
        time.sleep(random.uniform(0, 3))


def fill_table_folder(how: str, at: Field, random: Random) -> None:
    """Let rows, bits, offsets and notes find no room; also at the start of a worker."""
    with _on_a_small_disk(at, "results", "faust/results") as disk:
        at.pipeline.stack.wait_ready(READY_WITHIN)
        at.submit("long")
        time.sleep(random.uniform(0, 6))
        if how == "killed":
            disk.fill()
            at.pipeline.stack.kill_program("results")
        _keep_full(at, disk, leave=random.choice((0, 20_000, MEBIBYTE)))
        time.sleep(random.uniform(0, 8))


@contextmanager
def _on_a_small_disk(at: Field, role: str, name: str) -> Iterator[SmallDisk]:
    """Let a role run on a disk of its own; what it has written there is lost at the end."""
    stack = at.pipeline.stack
    stack.stop_program(role)
    try:
        with SmallDisk.over(stack.folder.root / name, size=SIZE) as disk:
            try:
                stack.start_program(role)
                yield disk
            finally:
                stack.stop_program(role)
    finally:
        stack.start_program(role)


def _keep_full(at: Field, disk: SmallDisk, *, leave: int) -> None:
    deadline = time.monotonic() + at.outage
    while time.monotonic() < deadline:
        disk.fill(leave=leave)
        time.sleep(FILL_EVERY)
    disk.free()


FAULTS: tuple[Fault, ...] = (
    Fault("disk-full", "work", fill_work_folder, obstacle),
    Fault("disk-full", "tables", partial(fill_table_folder, "running"), obstacle),
    Fault("disk-full", "tables-at-start", partial(fill_table_folder, "killed"), obstacle),
)

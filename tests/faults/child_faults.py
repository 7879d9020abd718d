"""A decoding child that is killed, or gets no more memory: at a random moment, or on one video every time."""

import os
import resource
import signal
import tempfile
import time
from collections.abc import Container, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from tests.faults.fault import Fault, Field
from tests.faults.process_faults import wait_for_pid
from tests.faults.upload import upload
from tests.support.children import decoding, padded

LOOK_EVERY: Final = 0.005
"""Seconds: a short clip is decoded in a fraction of one."""

BUSY_WITHIN: Final = 30.0
"""Seconds until a child decodes something."""

ATTEMPTS: Final = 5
"""A child may have all the memory that it needs already, or end a moment before it is hit."""

TOLD_WITHIN: Final = 20.0
"""Seconds until its parent has said that a child died: it first gives away the pictures that it has."""

FAILED_WITHIN: Final = 60.0

PADDING: Final = 4321
"""Bytes that tell one video from the others of its kind."""


def harm_once(how: str, at: Field, random: Random) -> None:
    """Kill a busy child, or take its memory away; the next one goes on from the last confirmed frame."""
    for _ in range(ATTEMPTS):
        before = _deaths(at)
        # One that has decoded for a while has all the memory that it will ever need.
        spared = set(_busy(at)) if how == "memory" else set[int]()
        at.submit("long")
        pid = _wait_for_busy(at, spared)
        if how == "kill":
            time.sleep(random.uniform(0, 0.5))
        _harm(how, pid)
        at.pipeline.wait_until(partial(_is_gone, pid), seconds=BUSY_WITHIN)
        told_by = time.monotonic() + TOLD_WITHIN
        while time.monotonic() < told_by:
            if _deaths(at) > before:
                return
            time.sleep(0.1)
    raise RuntimeError(f"{ATTEMPTS} children were done before they could be harmed")


def harm_always(how: str, at: Field, _random: Random) -> None:
    """Harm every child that is given one certain video; it fails with a reason, or gets through between."""
    before = _deaths(at)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "harmed.mp4"
        size = padded(at.clips["long"], path, PADDING)
        video_id = upload(at.pipeline.settings.api_url, path)
    at.acknowledged[video_id] = "long"
    at.excused[video_id] = {"decoder_crashed", "decoder_memory"}
    deadline = time.monotonic() + FAILED_WITHIN
    while not _has_ended(at, video_id) and time.monotonic() < deadline:
        for pid in _busy(at, size):
            _harm(how, pid)
        time.sleep(LOOK_EVERY)
    if _deaths(at) == before:
        raise RuntimeError("no child was harmed")


def _harm(how: str, pid: int) -> None:
    with suppress(ProcessLookupError):
        if how == "kill":
            os.kill(pid, signal.SIGKILL)
        else:
            _, most = resource.prlimit(pid, resource.RLIMIT_AS)
            resource.prlimit(pid, resource.RLIMIT_AS, (resource.getpagesize(), most))


def _wait_for_busy(at: Field, spared: Container[int]) -> int:
    deadline = time.monotonic() + BUSY_WITHIN
    while time.monotonic() < deadline:
        for pid in _busy(at):
            if pid not in spared:
                return pid
        time.sleep(LOOK_EVERY)
    raise RuntimeError("no child decodes anything")


def _busy(at: Field, size: int | None = None) -> Iterator[int]:
    """Yield the children that have a video open, of so many bytes if that is said."""
    runner = wait_for_pid(at, "runner") if size is None else at.pipeline.stack.pid_of("runner")
    yield from decoding([runner], at.pipeline.stack.folder.root / "work", size)


def _is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def _deaths(at: Field) -> int:
    """Return how many decoding children have died so far, as the runner tells it."""
    log = at.pipeline.stack.folder.log("runner")
    return log.read_bytes().count(b"decoder died")


def _has_ended(at: Field, video_id: str) -> bool:
    record = at.pipeline.record(video_id)
    return record is not None and record["status"] not in {"processing", "predictable"}


FAULTS: tuple[Fault, ...] = (
    *(Fault("child", how, partial(harm_once, how)) for how in ("kill", "memory")),
    *(Fault("child", f"{how}-always", partial(harm_always, how)) for how in ("kill", "memory")),
)

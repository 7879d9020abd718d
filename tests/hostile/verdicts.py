"""One file, given to a real decoding child: what became of it, and what that cost."""

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from msgspec import UNSET

from app.decoding.process import DecoderCrashed, DecodingPool, Split
from app.decoding.protocol import Job
from app.domain.messages import Failure, Options, VideoFacts

LOOK_EVERY = 0.02
"""Seconds between two looks at a child's memory."""


@dataclass(frozen=True)
class Verdict:
    """What became of one file.

    Attributes:
        name: of the file.
        outcome: how many frames there were, `(truncated)` behind it where it was, or the code of the failure.
        death: what the child died of; empty if it did not.
        seconds: how long it took.
        memory: most bytes of the child, as far as was seen.
    """

    name: str
    outcome: str
    death: str
    seconds: float
    memory: int


async def judge(pool: DecodingPool, path: Path, *, stride: int = 5) -> Verdict:
    """Give a file to a child, as a runner would for one try."""
    began, death, memory = time.monotonic(), "", 0
    count = 0
    async with pool.decode(Job("video", 1, str(path), Options(vid_stride=stride))) as split:
        watching = asyncio.create_task(_peak(split))
        try:
            async for _ in split.frames():
                count += 1
            outcome = describe(split.outcome, count)
        except DecoderCrashed as crash:
            outcome, death = crash.code, crash.how
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            memory = _memory.pop(split.pid, 0)
    return Verdict(path.name, outcome, death, time.monotonic() - began, memory)


def describe(outcome: VideoFacts | Failure | None, count: int) -> str:
    """Return in one word what a split has ended as; frames that are missing or too many are an error."""
    match outcome:
        case VideoFacts():
            assert outcome.sampled == count, f"{count} frames, but {outcome.sampled} were told"
            assert outcome.truncated == (outcome.truncated_at is not UNSET)
            return f"{outcome.frames} frames" + (" (truncated)" if outcome.truncated else "")
        case Failure():
            return outcome.code
        case _:
            raise AssertionError("it ended without a word")


def summarize(group: str, verdicts: Iterable[Verdict]) -> str:
    """Return a group's row of a table: what became of its files, and what that cost."""
    found = list(verdicts)
    failed = Counter(each.outcome for each in found if not _is_ready(each))
    codes = ", ".join(f"{code} {count}" for code, count in failed.most_common()) or "—"
    deaths = sum(bool(each.death) for each in found)
    longest = max((each.seconds for each in found), default=0.0)
    memory = max((each.memory for each in found), default=0) >> 20
    ready = sum(map(_is_ready, found))
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return f"| {group} | {len(found)} | {ready} | {codes} | {deaths} | {longest:.1f} | {memory} | {own} |"


HEAD = """\
| group | files | ready | failed by code | child deaths | longest s | child MiB | worker MiB |
|---|---|---|---|---|---|---|---|"""

_memory: dict[int, int] = {}


def _is_ready(verdict: Verdict) -> bool:
    return " frames" in verdict.outcome


async def _peak(split: Split) -> None:
    """Note the most memory of a child until it is gone."""
    while True:
        _memory[split.pid] = max(_memory.get(split.pid, 0), _peak_of(split.pid))
        await asyncio.sleep(LOOK_EVERY)


def _peak_of(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return 0

"""One step of a run: videos are submitted, one fault happens, everything ends, and the invariants hold."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx
from pymongo.errors import PyMongoError

from app.errors import KadrError
from tests.faults.fault import Fault, Field
from tests.faults.invariants import Findings, check_all, check_videos, note_rejected
from tests.faults.kadr import Kadr
from tests.faults.plan import Step
from tests.faults.submission import Submission

ENDED_WITHIN: Final = 150.0
"""Seconds from the end of a fault until every video has ended: both watchdogs may have to act by then."""

READY_WITHIN: Final = 60.0
"""Seconds until every program is ready again, its supervisor's pauses included."""

LOOK_EVERY: Final = 0.5

ENDS: Final = frozenset({"ready", "failed"})


@dataclass(frozen=True)
class Result:
    """What came of a step.

    Attributes:
        step: what was to happen.
        kind: of the fault.
        findings: what was seen.
        recovery: seconds from the fault's begin until every video had ended.
        longest_gap: seconds for which nothing moved although there was work.
        seconds: that the whole step took.
    """

    step: Step
    kind: str
    findings: Findings
    recovery: float
    longest_gap: float
    seconds: float

    @property
    def violations(self) -> list[str]:
        """A sentence for each thing that is wrong."""
        return self.findings.violations


@dataclass
class Waiting:
    """The videos of a step, and how those that have ended did.

    Attributes:
        ends: the body of each result, by id; an unknown video has the status `unknown`.
        unanswered: uploads that exist although their answer was lost, with the names of their clips.
    """

    kadr: Kadr
    at: Field
    since: datetime
    ends: dict[str, dict[str, Any]] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)

    def until_all_ended(self, seconds: float) -> None:
        """Return when every video has ended, or when the time is over."""
        deadline = time.monotonic() + seconds
        while not self._have_all_ended() and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY)

    def _have_all_ended(self) -> bool:
        if not self._find_unanswered():
            return False
        for video_id in self._open():
            self._look(video_id)
        return not self._open()

    def _open(self) -> list[str]:
        return [each for each in {**self.unanswered, **self.at.acknowledged} if each not in self.ends]

    def _find_unanswered(self) -> bool:
        outbox = self.kadr.pipeline.mongo["main_db"]["outbox"]
        match = {"created_at": {"$gte": self.since}, "deleted_at": None}
        try:
            found = list(outbox.find(match, ["_id", "filename"]))
        except PyMongoError:
            return False
        for each in found:
            if each["_id"] not in self.at.acknowledged:
                self.unanswered[each["_id"]] = Path(each.get("filename") or "").stem
        return True

    def _look(self, video_id: str) -> None:
        try:
            answer = self.kadr.pipeline.api.get(f"/api/result_video/{video_id}", timeout=10)
        except httpx.HTTPError:
            return
        if answer.status_code == httpx.codes.NOT_FOUND:
            self.ends[video_id] = {"status": "unknown"}
        elif answer.status_code == httpx.codes.OK and video_id not in self.at.deleted:
            found = answer.json()
            if found["status"] in ENDS:
                self.ends[video_id] = found


def take_step(kadr: Kadr, step: Step, fault: Fault, *, ended_within: float = ENDED_WITHIN) -> Result:
    """Let a fault happen while videos are in work and judge what comes of it."""
    started, since = time.monotonic(), datetime.now(UTC)
    random = Random(step.seed)  # noqa: S311 - repeatable, not secret
    at = kadr.field()
    watched = kadr.observer.watch(lambda: [each for each in list(at.acknowledged) if each not in at.excused])
    submission = Submission(at, step.clips, random)
    submission.start()
    time.sleep(step.delay)
    begun = time.monotonic()
    problems = _inject(fault, at, random)
    submission.finish()
    waiting = Waiting(kadr, at, since)
    waiting.until_all_ended(ended_within)
    recovery = time.monotonic() - begun
    stuck = _until_ready(kadr)
    findings = check_videos(kadr, at, waiting.ends, waiting.unanswered)
    findings.stuck += len(stuck)
    findings.violations[:0] = [*problems, *submission.problems, *stuck]
    findings.violations += check_all(kadr, at)
    note_rejected(kadr)
    _disarm(at)
    return Result(step, fault.kind, findings, recovery, watched.gaps.longest, time.monotonic() - started)


def _inject(fault: Fault, at: Field, random: Random) -> list[str]:
    try:
        fault.inject(at, random)
    except Exception as error:  # noqa: BLE001 - a fault that did not take place proves nothing, and is told
        _heal(at)
        return [f"the fault did not take place: {type(error).__name__}: {error}"]
    return []


def _heal(at: Field) -> None:
    """Undo what a fault that broke off may have left."""
    stack = at.pipeline.stack
    for name in stack.names:
        with contextlib.suppress(KadrError):
            stack.thaw_program(name)
            stack.start_program(name)


def _disarm(at: Field) -> None:
    for left in at.failpoints.iterdir():
        left.unlink()


def _until_ready(kadr: Kadr) -> list[str]:
    try:
        kadr.pipeline.stack.wait_ready(READY_WITHIN)
    except KadrError as error:
        return [f"not ready again: {error}"]
    return []


@contextlib.contextmanager
def kept_logs(kadr: Kadr, folder: Path) -> Iterator[Callable[[], None]]:
    """Yield what keeps the log of each process since now in a folder."""
    source = kadr.pipeline.stack.folder.root / "log"
    sizes = {path: path.stat().st_size for path in source.glob("*.log")}

    def keep() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for path in source.glob("*.log"):
            before = sizes.get(path, 0)
            with path.open("rb") as log:
                # A log that is shorter than before was begun anew meanwhile.
                log.seek(before if path.stat().st_size >= before else 0)
                (folder / path.name).write_bytes(log.read(KEPT_AT_MOST))

    yield keep


KEPT_AT_MOST: Final = 4 << 20
"""Bytes of one log."""

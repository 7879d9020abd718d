"""Upload files and wait until they are done, with a progress bar for each."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from app.cli.findings import Result, read_result
from app.clients.kadr_api import KadrApi, Note
from app.clients.kadr_api import Progress as FramesProgress
from app.errors import Rejected, Unavailable

LOOK_SECONDS: Final = 0.4
"""Between two looks; the runner writes its progress once a second."""

API_EVERY: Final = 10
"""Looks after which the API is asked even though the runner says that it is still at work."""

AWAY_SECONDS: Final = 60.0
"""How long the API may be away while somebody waits: longer than a restart of it takes."""

AT_WORK: Final = frozenset({"processing", "predictable"})
"""States in which the runner says that there is no result yet."""

ENDED: Final = frozenset({"ready", "failed"})


@dataclass(frozen=True, kw_only=True)
class Followed:
    """One file on its way.

    Attributes:
        file: what was or is to be uploaded.
        bar: its progress bar.
        video_id: empty until the API has answered.
        status: of the last look; `refused` when there will be no video.
        reason: why it was refused or has failed.
        result: when it is ready.
    """

    file: Path
    bar: TaskID
    video_id: str = ""
    status: str = "new"
    reason: str = ""
    result: Result | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in {*ENDED, "refused"}

    @property
    def line(self) -> str:
        """What there is to say, in one line."""
        if self.result is not None:
            objects = self.result.objects
            counted = f"{len(self.result.prediction)} frames  {objects} object{'' if objects == 1 else 's'}"
            return f"{self.video_id}  ready  {counted}  {self.file.name}"
        said = f"  {self.reason}" if self.reason else ""
        return f"{self.video_id or '-'}  {self.status}{said}  {self.file.name}"


class Follower:
    """Uploads files and looks after them until each has ended. Open it with `open_follower`."""

    def __init__(self, kadr: KadrApi, bars: Progress) -> None:
        self._kadr = kadr
        self._bars = bars
        self._looks = 0
        self._away_since: float | None = None

    def upload(self, file: Path, *, bucket: str | None = None) -> Followed:
        """Upload a file; what the API refuses is an outcome, not an error.

        Raises:
            Unavailable: the API does not answer.
        """
        size = file.stat().st_size
        bar = self._bars.add_task(file.name, total=size or None, amount="uploading")
        sent = 0

        def on_sent(count: int) -> None:
            nonlocal sent
            sent += count
            self._bars.update(bar, completed=sent, amount=f"uploading {decimal(sent)} of {decimal(size)}")

        followed = Followed(file=file, bar=bar)
        try:
            video_id = self._kadr.upload(file, bucket=bucket, on_sent=on_sent)
        except Rejected as refusal:
            return self._end(replace(followed, status="refused", reason=refusal.reason))
        self._bars.reset(bar, total=None, amount="new")
        return replace(followed, video_id=video_id)

    def wait(self, uploaded: Sequence[Followed]) -> Iterator[Followed]:
        """Yield each file as soon as it has ended.

        Raises:
            Unavailable: the API was away for too long.
        """
        pending = list(uploaded)
        while pending:
            looked = [self._look(each) for each in pending]
            yield from (each for each in looked if each.has_ended)
            pending = [each for each in looked if not each.has_ended]
            self._looks += 1
            if pending:
                time.sleep(LOOK_SECONDS)

    def _look(self, followed: Followed) -> Followed:
        if followed.has_ended:
            return followed
        progress = self._kadr.progress(followed.video_id)
        if progress is not None:
            self._show(followed, progress)
            if progress.status in AT_WORK and self._looks % API_EVERY:
                return followed
        try:
            found = self._ask(followed, progress)
        except Rejected as gone:
            return self._end(replace(followed, status="failed", reason=gone.reason))
        except Unavailable:
            if self._is_away_too_long():
                raise
            return followed
        self._away_since = None
        return found

    def _ask(self, followed: Followed, progress: FramesProgress | None) -> Followed:
        note = self._kadr.note_of(followed.video_id)
        if note.status == "ready":
            with self._kadr.answer(followed.video_id) as answer:
                result = read_result(b"".join(answer.pieces))
            return self._end(replace(followed, status="ready", result=result))
        if note.status == "failed":
            return self._end(replace(followed, status="failed", reason=reason_of(note)))
        if progress is None:
            self._bars.update(followed.bar, amount=note.status)
        return replace(followed, status=note.status)

    def _is_away_too_long(self) -> bool:
        now = time.monotonic()
        self._away_since = self._away_since or now
        return now - self._away_since > AWAY_SECONDS

    def _show(self, followed: Followed, progress: FramesProgress) -> None:
        amount = describe_progress(progress)
        self._bars.update(
            followed.bar, completed=progress.frames_done, total=progress.frames_total, amount=amount
        )

    def _end(self, followed: Followed) -> Followed:
        frames = len(followed.result.prediction) if followed.result else 0
        amount = f"{frames} of {frames} frames" if followed.result else followed.status
        self._bars.update(followed.bar, completed=frames, total=max(frames, 1), amount=amount)
        self._bars.stop_task(followed.bar)
        return followed


@contextmanager
def open_follower(kadr: KadrApi, console: Console) -> Iterator[Follower]:
    """Yield a follower whose bars are on this console."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[amount]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bars:
        yield Follower(kadr, bars)


def describe_progress(progress: FramesProgress) -> str:
    """How far the runner is, in a few words."""
    if progress.status == "predictable":
        return "writing the result"
    if progress.frames_total is None:
        return f"{progress.frames_done} frames, {progress.frames_split} read so far"
    return f"{progress.frames_done} of {progress.frames_total} frames"


def reason_of(note: Note) -> str:
    """Why a video has failed."""
    return f"{note.error.code}: {note.error.message}" if note.error else "no reason is known"

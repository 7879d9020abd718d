"""Files are uploaded and looked after until each has ended, with a progress bar for each."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from app.cli.bars import Bar, Bars
from app.cli.wording import WORDS, reason_of
from app.client import AsyncKadr, Refused, Video
from app.client.videos import Options
from app.errors import KadrError

AT_ONCE: Final = 16
"""Videos that are followed at a time: enough to keep a large Kadr busy, few enough for its listeners."""


@dataclass(frozen=True)
class Wish:
    """How files are to be looked at.

    Attributes:
        options: as the client takes them.
        bucket: where they are kept; None leaves that to Kadr.
        tags: words to find them by.
        webhook: an address that is told.
    """

    options: Options = field(default_factory=Options)
    bucket: str | None = None
    tags: Sequence[str] = ()
    webhook: str | None = None


@dataclass(frozen=True, kw_only=True)
class Followed:
    """One file on its way.

    Attributes:
        file: what was or is to be uploaded.
        bar: its progress bar.
        video: what is known of it; None until it was accepted.
        refusal: why it was not, or why there is no file with its result.
        frames: that were looked at, when it is ready; None where nobody could say.
        objects: that were found in them.
        written: the file with its result.
    """

    file: Path
    bar: Bar
    video: Video | None = None
    refusal: str = ""
    frames: int | None = None
    objects: int = 0
    written: Path | None = None

    @property
    def is_ready(self) -> bool:
        """Whether there is a result."""
        return self.video is not None and self.video.status == "ready"

    @property
    def has_failed(self) -> bool:
        """Whether there is no result, and will be none."""
        return bool(self.refusal) or (self.video is not None and self.video.status in {"failed", "cancelled"})

    @property
    def line(self) -> str:
        """What there is to say, in one line."""
        if self.video is None:
            return f"-  refused  {self.refusal}  {self.file.name}"
        said = [self.video.id, WORDS[self.video.status], self.refusal or reason_of(self.video)]
        if self.frames is not None:
            said += [f"{self.frames} frames", f"{self.objects} object{'' if self.objects == 1 else 's'}"]
        said += [self.file.name, str(self.written or "")]
        return "  ".join(each for each in said if each)

    @property
    def facts(self) -> Mapping[str, Any]:
        """The same for programs."""
        video = self.video
        error = video.error if video else None
        return {
            "file": str(self.file),
            "id": video.id if video else None,
            "status": video.status if video else "refused",
            "frames": self.frames,
            "objects": self.objects if self.frames is not None else None,
            "result": str(self.written) if self.written else None,
            "error": {"code": error.code, "message": error.message} if error else self.refusal or None,
        }


async def upload(kadr: AsyncKadr, file: Path, wish: Wish, bars: Bars) -> Followed:
    """Upload a file; what Kadr refuses is an outcome, not an error.

    Raises:
        RetryLater: Kadr does not answer, or has too much to do.
    """
    bar = bars.add(file.name)
    followed = Followed(file=file, bar=bar)
    try:
        video = await kadr.submit(
            file,
            bucket=wish.bucket,
            tags=wish.tags,
            webhook=wish.webhook,
            on_sent=bar.sent(_size_of(file)),
            **wish.options,
        )
    except Refused as refusal:
        bar.end(None, "refused")
        return replace(followed, refusal=refusal.reason)
    bar.show(video)
    return replace(followed, video=video)


async def follow(kadr: AsyncKadr, followed: Followed) -> Followed:
    """Return a file once it has ended, with what was counted in it.

    Raises:
        RetryLater: Kadr was away for too long.
    """
    if followed.video is None:
        return followed
    try:
        video = await kadr.wait(followed.video.id, on_progress=followed.bar.show)
    except Refused as gone:
        followed.bar.end(None, "failed")
        lost = msgspec.structs.replace(followed.video, status="failed")
        return replace(followed, video=lost, refusal=gone.reason)
    ended = replace(followed, video=video)
    if ended.is_ready:
        with suppress(KadrError):  # there is a result all the same
            frames, objects = await count(kadr, video.id)
            ended = replace(ended, frames=frames, objects=objects)
    followed.bar.end(ended.frames, video.status)
    return ended


async def count(kadr: AsyncKadr, video_id: str) -> tuple[int, int]:
    """Return how many frames of a ready video were looked at, and how many objects are in them."""
    summary = await kadr.summary(video_id)
    return summary.looked_at + summary.not_looked_at, sum(each.detections for each in summary.classes)


async def follow_all(kadr: AsyncKadr, uploaded: Iterable[Followed]) -> AsyncIterator[Followed]:
    """Yield each file as soon as it has ended.

    Raises:
        RetryLater: Kadr was away for too long.
    """
    places = asyncio.Semaphore(AT_ONCE)

    async def follow_one(followed: Followed) -> Followed:
        async with places:
            return await follow(kadr, followed)

    tasks = [asyncio.create_task(follow_one(each)) for each in uploaded]
    try:
        for ended in asyncio.as_completed(tasks):
            yield await ended
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _size_of(file: Path) -> int | None:
    return file.stat().st_size or None

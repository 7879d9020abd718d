"""How far a video is and what came of it, in a few words: pure."""

from datetime import datetime
from typing import Final

from app.client.videos import Status, Video
from app.domain.sentences import ClientStatus

WORDS: Final[dict[Status, ClientStatus]] = {
    "queued": "new",
    "processing": "sent",
    "ready": "ready",
    "failed": "failed",
    "cancelled": "failed",
}
"""The words of the first calls, which `submit` and `status` print."""

MINUTE: Final = 60
HOUR: Final = 3600


def progress_of(video: Video) -> str:
    """How far a video is."""
    if video.has_ended:
        return video.status
    found = video.progress
    if found is None or not found.known:
        return video.status
    if video.stage == "writing":
        return "writing the result"
    if video.stage in {None, "queued", "fetching"} and not found.frames_done:
        before = found.queue_position
        return f"waiting behind {before} others" if before else video.stage or video.status
    frames = f"{found.frames_done} frames"
    if found.frames_total is not None:
        frames = f"{found.frames_done} of {found.frames_total} frames"
    return frames if found.eta_seconds is None else f"{frames}, {duration(found.eta_seconds)} left"


def reason_of(video: Video) -> str:
    """Why a video has failed; empty where it has not."""
    if video.error is not None and video.status in {"failed", "cancelled"}:
        return f"{video.error.code}: {video.error.message}"
    return "no reason is known" if video.status == "failed" else ""


def duration(seconds: float) -> str:
    """A time that something takes, as people say it."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"


def local_time(at: datetime | None) -> str:
    """A time as the clock on the wall shows it."""
    return "-" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}"

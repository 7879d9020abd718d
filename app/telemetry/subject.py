"""The video that the work in hand is about, for lines of the log that are written where nobody knows it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_subject: ContextVar[str] = ContextVar("subject", default="")


@contextmanager
def about(video_id: str) -> Iterator[None]:
    """Let lines that are written within the block, and in tasks begun there, name the video."""
    token = _subject.set(video_id)
    try:
        yield
    finally:
        _subject.reset(token)


def subject() -> str:
    """Return the id of that video; empty where there is none."""
    return _subject.get()

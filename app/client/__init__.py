"""Kadr for Python programs: `Kadr`, which blocks, and `AsyncKadr`, for asyncio.

    from app.client import Kadr

    with Kadr("http://127.0.0.1:8080") as kadr:
        video = kadr.submit("street.mp4", conf=0.4, tags=["street"])
        if kadr.wait(video.id).status == "ready":
            kadr.export(video.id, "street.csv", format="csv")

It knows the API and nothing behind it, and stands on httpx, msgspec and `app.domain`. A call is written once,
as a flow of steps without any I/O (`steps`), and two transports take them.

=====================  =============================================================================
`kadr`                 the two clients: which calls there are
`calls`                look at videos, stop them, try them again, forget them
`submissions`          videos are submitted
`watching`             a video is followed until it has ended
`results`              what is in a video: bit by bit, in short, as files, as pictures
`documents`            the whole result as Kadr keeps it
`videos`, `findings`   what Kadr says, as types
`errors`               what can go wrong, by what the caller may do
`core`                 what every call has in common
`retries`              when a request is made again (pure)
`events`               server-sent events (pure)
`steps`                what a call is made of
`sources`, `targets`   files that are sent, files that are written
`addresses`            where Kadr is and who asks
`transport`            requests and errors in httpx's words
`blocking`, `awaiting` the two transports
=====================  =============================================================================
"""

from typing import TYPE_CHECKING, Any

from app.client.errors import (
    Conflict,
    NotAllowed,
    NotFound,
    NotReady,
    Refused,
    TooBusy,
    TookTooLong,
    Unreachable,
    Unreadable,
    VideoFailed,
)
from app.client.findings import FrameFound, Result, Summary, Track
from app.client.retries import Retries
from app.client.sources import StoredObject
from app.client.videos import Delivery, Progress, Video
from app.errors import KadrError

if TYPE_CHECKING:
    from app.client.kadr import AsyncKadr, Kadr

__all__ = [
    "AsyncKadr",
    "Conflict",
    "Delivery",
    "FrameFound",
    "Kadr",
    "KadrError",
    "NotAllowed",
    "NotFound",
    "NotReady",
    "Progress",
    "Refused",
    "Result",
    "Retries",
    "StoredObject",
    "Summary",
    "TooBusy",
    "TookTooLong",
    "Track",
    "Unreachable",
    "Unreadable",
    "Video",
    "VideoFailed",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - two classes
    """Import httpx, which takes a while, when somebody wants a client and not a word of it."""
    if name not in {"AsyncKadr", "Kadr"}:
        raise AttributeError(name)
    from app.client import kadr  # noqa: PLC0415 - see above

    return getattr(kadr, name)

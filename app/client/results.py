"""What is in a video: frame by frame, in short, as files in many forms, and as pictures."""

from collections.abc import Collection
from typing import Final, Literal, TypeAlias

from app.client.core import Core, pairs_of, path_of, require_success
from app.client.findings import DetectionPage, Format, FrameFound, Summary, Track, TrackPage
from app.client.steps import Close, Flow, Give, Items, Pairs, Request
from app.client.targets import OnBytes, Target, write_answer

Rendering: TypeAlias = Literal["media", "annotated", "preview"]

PATHS: Final[dict[Rendering, str]] = {
    "media": "media",
    "annotated": "annotated.mp4",
    "preview": "preview.mp4",
}

PAGE: Final = 1000
"""Frames, or tracks, that are asked for at a time."""


def detections(
    core: Core,
    video_id: str,
    *,
    classes: Collection[str] = (),
    min_conf: float | None = None,
    start: float | None = None,
    end: float | None = None,
    tracks: bool = False,
) -> Items[FrameFound]:
    """Give the frames that were looked at, in order, with what was found in them.

    With `classes` or `min_conf`, frames in which nothing of that is are left out.

    Args:
        classes: only these.
        min_conf: least confidence.
        start: seconds; no frame before.
        end: seconds; no frame from then on.
        tracks: whether each object says which track it is part of.

    Raises:
        NotFound: there is no such video, or it is another key's.
        NotReady: it has no result yet.
        VideoFailed: it never will.
    """
    chosen = _chosen(classes=classes, min_conf=min_conf, start=start, end=end, tracks=tracks)
    cursor: str | None = None
    while True:
        query = (*chosen, *pairs_of(format="json", limit=PAGE, cursor=cursor))
        request = Request(method="GET", path=path_of(video_id, "detections"), query=query)
        page = yield from core.fetch(request, DetectionPage, about=video_id)
        for frame in page.prediction:
            yield Give(frame)
        cursor = page.next_cursor
        if cursor is None:
            return


def export(
    core: Core,
    video_id: str,
    target: Target,
    *,
    format: Format = "json",  # noqa: A002 - what it is called everywhere
    classes: Collection[str] = (),
    min_conf: float | None = None,
    start: float | None = None,
    end: float | None = None,
    tracks: bool = False,
    on_bytes: OnBytes | None = None,
) -> Flow[int]:
    """Write what was found into a file, in a form that others read; answers how many bytes there are.

    Args:
        target: the file.
        format: its form.
        classes: only these.
        min_conf: least confidence.
        start: seconds; no frame before.
        end: seconds; no frame from then on.
        tracks: whether each object says which track it is part of, where the form can.
        on_bytes: told how many bytes have arrived.

    Raises:
        OSError: the file cannot be written.
        NotFound: there is no such video, or it is another key's.
        NotReady: it has no result yet.
        VideoFailed: it never will.
    """
    chosen = _chosen(classes=classes, min_conf=min_conf, start=start, end=end, tracks=tracks)
    query = (*chosen, *pairs_of(format=format, limit=0))
    request = Request(method="GET", path=path_of(video_id, "detections"), query=query)
    return (yield from write_answer(core, request, target, about=video_id, on_bytes=on_bytes))


def summary(
    core: Core, video_id: str, *, gap: float | None = None, classes: Collection[str] = ()
) -> Flow[Summary]:
    """Return what is in a video, and when.

    Args:
        gap: seconds without a sight of a class that do not end a segment; None leaves that to Kadr.
        classes: only these.

    Raises:
        NotFound: there is no such video, or it is another key's.
        NotReady: it has no result yet.
        VideoFailed: it never will.
    """
    query = pairs_of(gap=gap, class_=tuple(classes))
    request = Request(method="GET", path=path_of(video_id, "summary"), query=query)
    return (yield from core.fetch(request, Summary, about=video_id))


def tracks(
    core: Core,
    video_id: str,
    *,
    classes: Collection[str] = (),
    start: float | None = None,
    end: float | None = None,
) -> Items[Track]:
    """Give the objects that were followed through a video, in the order in which they begin.

    Args:
        classes: only these.
        start: seconds; only those that are to be seen later.
        end: seconds; only those that are to be seen before.

    Raises:
        NotFound: there is no such video, or it is another key's.
        NotReady: it has no result yet.
        VideoFailed: it never will.
        TooBusy: they are still being computed, after this client's patience.
    """
    chosen = _chosen(classes=classes, start=start, end=end)
    cursor: str | None = None
    while True:
        query = (*chosen, *pairs_of(limit=PAGE, cursor=cursor))
        request = Request(method="GET", path=path_of(video_id, "tracks"), query=query)
        page = yield from core.fetch(request, TrackPage, about=video_id)
        for track in page.tracks:
            yield Give(track)
        cursor = page.next_cursor
        if cursor is None:
            return


def download(
    core: Core,
    video_id: str,
    target: Target,
    *,
    what: Rendering = "media",
    on_bytes: OnBytes | None = None,
    within: float | None = None,
) -> Flow[int]:
    """Write a video into a file; answers how many bytes it has.

    Args:
        target: the file.
        what: `media` as it was sent; `annotated` with the boxes drawn; `preview` small, for every browser.
            The last two are made when they are first asked for, which takes a while.
        on_bytes: told how many bytes have arrived.
        within: seconds that making it may take; None is as long as this client is patient.

    Raises:
        OSError: the file cannot be written.
        NotFound: there is no such video, or it is another key's.
        NotReady: it has no result yet.
        VideoFailed: it never will.
        TooBusy: it is still being made.
    """
    request = Request(method="GET", path=path_of(video_id, PATHS[what]))
    return (yield from write_answer(core.patient(within), request, target, about=video_id, on_bytes=on_bytes))


def make(core: Core, video_id: str, *, what: Rendering, within: float | None = None) -> Flow[None]:
    """Return when a video is there to be downloaded, or shown by a browser.

    Args:
        what: see `download`.
        within: seconds that making it may take; None is as long as this client is patient.

    Raises:
        NotFound: there is no such video, or it is another key's.
        NotReady: it has no result yet.
        VideoFailed: it never will.
        TooBusy: it is still being made.
    """
    request = Request(method="GET", path=path_of(video_id, PATHS[what]))
    yield from core.patient(within).stream(request, about=video_id)
    yield Close()


def frame(core: Core, video_id: str, number: int, *, boxes: bool = False) -> Flow[bytes]:
    """Return one frame of a video as a JPEG.

    Args:
        number: of the frame in the video, counted from 0.
        boxes: whether what was found is drawn.

    Raises:
        NotFound: there is no such video or frame, or it is another key's.
    """
    query = pairs_of(boxes="1" if boxes else None)
    request = Request(method="GET", path=path_of(video_id, "frames", f"{number}.jpg"), query=query)
    asked = yield from core.ask(request)
    return require_success(asked.answer, about=video_id).body


def _chosen(
    *,
    classes: Collection[str] = (),
    min_conf: float | None = None,
    start: float | None = None,
    end: float | None = None,
    tracks: bool = False,
) -> Pairs:
    """Return the part of a query that says what of a result is meant."""
    found = pairs_of(class_=tuple(classes), min_conf=min_conf, tracks=True if tracks else None)
    return (*found, *pairs_of(from_=start, to=end))

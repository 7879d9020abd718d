"""The calls about videos: look at them, stop them, try them again, forget them."""

from collections.abc import Collection
from datetime import UTC, datetime

from app.client.core import VIDEOS, Core, pairs_of, path_of, read_answer, require_success
from app.client.errors import CONFLICT, NOT_FOUND, Unreachable
from app.client.steps import Flow, Give, Items, Request, send
from app.client.videos import Deliveries, Delivery, Operations, Status, Video, VideoPage

PAGE = 100
"""Videos that are asked for at a time."""


def get(core: Core, video_id: str) -> Flow[Video]:
    """Return a video and how far it is.

    Raises:
        NotFound: there is none, or it is another key's.
    """
    return (yield from core.fetch(Request(method="GET", path=path_of(video_id)), Video))


def list_videos(
    core: Core,
    *,
    status: Collection[Status] = (),
    tags: Collection[str] = (),
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    page: int = PAGE,
) -> Items[Video]:
    """Give the videos, newest first, as many as the caller wants; those that come meanwhile are left out.

    Args:
        status: in one of these states; none is any.
        tags: with all of these tags.
        created_after: accepted later than this.
        created_before: accepted earlier than this.
        page: how many are asked for at a time, 200 at most.
    """
    cursor: str | None = None
    while True:
        query = pairs_of(
            status=tuple(status),
            tag=tuple(tags),
            created_after=_rfc3339(created_after),
            created_before=_rfc3339(created_before),
            limit=page,
            cursor=cursor,
        )
        found = yield from core.fetch(Request(method="GET", path=VIDEOS, query=query), VideoPage)
        for video in found.videos:
            yield Give(video)
        cursor = found.next_cursor
        if cursor is None:
            return


def statuses(core: Core, *, limit: int = PAGE) -> Flow[Operations]:
    """Return the newest videos in a sentence each, and how many there are altogether; `list` says more.

    Args:
        limit: how many, 1,000 at most.
    """
    request = Request(method="GET", path="/api/status/all", query=pairs_of(limit=limit))
    return (yield from core.fetch(request, Operations))


def is_ready(_core: Core) -> Flow[bool]:
    """Return whether Kadr is there and can take videos; asked once, without patience."""
    try:
        return (yield from send(Request(method="GET", path="/health/ready"))).is_success
    except Unreachable:
        return False


def cancel(core: Core, video_id: str) -> Flow[Video]:
    """Stop a video, however far it is. From then on it is `cancelled` and never becomes ready.

    Raises:
        NotFound: there is none, or it is another key's.
        Conflict: `already_ended`: it is ready, or has failed.
    """
    return (yield from core.fetch(Request(method="POST", path=path_of(video_id, "cancel")), Video))


def retry(core: Core, video_id: str) -> Flow[Video]:
    """Begin another attempt at a video that failed or was cancelled; it keeps its id and its options.

    Raises:
        NotFound: there is none, or it is another key's.
        Conflict: `not_ended`: it waits, or is being worked on; `already_ready`: there is a result.
    """
    request = Request(method="POST", path=path_of(video_id, "retry"))
    asked = yield from core.ask(request)
    if asked.is_doubtful and asked.answer.status == CONFLICT:
        return (yield from get(core, video_id))  # the try that nobody answered was done
    return read_answer(require_success(asked.answer), Video)


def delete(core: Core, video_id: str) -> Flow[None]:
    """Forget a video, however far it is. Its upload and its result are gone a little later.

    Raises:
        NotFound: there is none, or it is another key's.
    """
    asked = yield from core.ask(Request(method="DELETE", path=path_of(video_id)))
    if not (asked.is_doubtful and asked.answer.status == NOT_FOUND):
        require_success(asked.answer)


def deliveries(core: Core, video_id: str) -> Flow[list[Delivery]]:
    """Return what became of the messages to a video's webhook, newest first.

    Raises:
        NotFound: there is no such video, or it is another key's.
    """
    request = Request(method="GET", path=path_of(video_id, "deliveries"))
    return (yield from core.fetch(request, Deliveries)).deliveries


def redeliver(core: Core, video_id: str, delivery_id: str) -> Flow[Delivery]:
    """Have a message to a webhook posted once more, whatever became of it.

    Raises:
        NotFound: there is no such video, or no such message.
        Conflict: `under_way`: a try is being made just now.
    """
    path = path_of(video_id, "deliveries", delivery_id, "redeliver")
    return (yield from core.fetch(Request(method="POST", path=path), Delivery))


def _rfc3339(time: datetime | None) -> str | None:
    """Return a time as Kadr reads it; one that says no zone is this machine's."""
    return None if time is None else time.astimezone(UTC).isoformat().replace("+00:00", "Z")

"""What happens to a video, as it happens: server-sent events."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.types import Receive, Scope, Send

from api.access.keys import Reads
from api.dependencies import Served
from api.lifecycle.looks import Look
from api.lifecycle.watches import News, Watches
from api.problems import UnknownVideo, documented
from app.domain.states import ENDED

router = APIRouter(prefix="/api/v1", tags=["videos"])

MEDIA_TYPE: Final = "text/event-stream"

COME_BACK_AFTER: Final = 2000
"""Milliseconds after which a client that lost its connection asks again: about as long as a restart takes."""

UNBUFFERED: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""A proxy that gathers an answer before it passes it on would keep every event to itself (nginx's name)."""

_EXAMPLE: Final = """\
event: status
data: {"id":"3f2b8c1e-6f0a-4c55-9d1e-0c8d0a4b7f11","status":"processing","stage":"decoding","progress":{…},…}
id: 1767225600000
retry: 2000

event: progress
data: {"known":true,"frames_done":120,"frames_total":600,"fps":48.2,"eta_seconds":10.0,"queue_position":0,…}
id: 1767225600900

event: end
data: {"id":"3f2b8c1e-6f0a-4c55-9d1e-0c8d0a4b7f11","status":"ready","stage":null,…}
id: 1767225612345

"""

_EVENT: Final = {
    "type": "object",
    "description": "One event; the stream is a number of them, as text.",
    "properties": {
        "event": {"type": "string", "enum": ["status", "progress", "end", "deleted"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "id": {"type": "string"},
        "retry": {"type": "integer", "description": "Milliseconds."},
    },
    "required": ["event", "data"],
}

_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The events, until the video has ended.",
        "content": {MEDIA_TYPE: {"schema": _EVENT, "example": _EXAMPLE}},
    }
}


class EventStream(StreamingResponse):
    """Events for one client; whatever ends it, the place among the listeners is free then."""

    media_type = MEDIA_TYPE

    def __init__(self, watches: Watches, first: Look) -> None:
        super().__init__((), headers=UNBUFFERED)
        self._watches = watches
        self._first = first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events.

        Raises:
            Busy: too many listen.
        """
        with self._watches.listening(self._first) as news:
            async with aclosing(news), aclosing(_events(self._first.video.id, news)) as events:
                self.body_iterator = events
                await super().__call__(scope, receive, send)


@router.get(
    "/videos/{video_id}/events",
    status_code=200,
    response_class=EventStream,
    summary="Follow a video",
    responses=_STREAM | documented(401, 403, 404),
)
async def follow_video(video_id: str, services: Served, caller: Reads) -> Response:
    """Send what happens to a video, as server-sent events, until it has ended.

    * `status`: at once, and whenever status or stage change; the data is that of `GET /api/v1/videos/{id}`.
    * `progress`: once a second while it moves; the data is its `progress`.
    * `deleted`: the video is unknown from now on.
    * `end`: the last one. Close the connection, else a browser asks again.

    Where there is no news there is a comment every 15 seconds. Who comes back after a lost connection, with
    `Last-Event-ID` or without, is told how the video is then.
    """
    look = await services.looks.look(video_id, owner=caller.sees)
    if look is None:
        raise UnknownVideo(video_id)
    return EventStream(services.watches, look)


async def _events(video_id: str, news: AsyncGenerator[News]) -> AsyncGenerator[bytes]:
    told: dict[str, Any] | None = None
    async for each in news:
        if each == "quiet":
            yield KEEPALIVE_COMMENT
        elif each == "deleted":
            yield _event("deleted", {"id": video_id})
            yield _event("end", {"id": video_id})
        elif isinstance(each, dict):
            if told is None:
                yield _event("status", each, retry=COME_BACK_AFTER)
            elif _without_progress(each) != _without_progress(told):
                yield _event("status", each)
            else:
                yield _event("progress", each["progress"])
            if each["status"] in ENDED:
                yield _event("end", each)
            told = each


def _event(name: str, data: object, *, retry: int | None = None) -> bytes:
    text = msgspec.json.encode(data).decode()
    return format_sse_event(event=name, data_str=text, id=str(time.time_ns() // 1_000_000), retry=retry)


def _without_progress(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "progress"}

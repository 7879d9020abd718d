"""The whole result of a video as Kadr keeps it: one document."""

from collections.abc import Callable
from functools import partial
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from app.client.core import Core, read_answer, require_success
from app.client.errors import NotReady, VideoFailed
from app.client.findings import Result
from app.client.steps import Answer, Flow, Request, read_piece, work
from app.client.targets import Target, can_restart, open_target
from app.domain.messages import Failure

LARGEST_NOTE: Final = 64 << 10
"""Bytes. Only a result is longer than this; how far a video is, and why it failed, are a line each."""

UNKNOWN: Final = Failure("failed", "no reason is known")


class _Note(Struct):
    """How far a video is, or why it failed: every answer that is not a result."""

    status: str
    error: Failure | None = None


def save_result(core: Core, video_id: str, target: Target) -> Flow[int]:
    """Write the whole result into a file, byte for byte as Kadr keeps it; answers how many bytes there are.

    Args:
        target: the file.

    Raises:
        OSError: the file cannot be written.
        NotFound: there is no such video, or it is another key's.
        NotReady: it has no result yet.
        VideoFailed: it never will.
    """

    def save() -> Flow[int]:
        first = yield from _begin(core, video_id)
        with open_target(target) as file:
            return (yield from _take(first, file.write))

    return (yield from (core.read_again(save) if can_restart(target) else save()))


def result(core: Core, video_id: str) -> Flow[Result]:
    """Return the whole result, which for long videos is large: `detections` has it bit by bit.

    Raises:
        NotFound: there is no such video, or it is another key's.
        NotReady: it has no result yet.
        VideoFailed: it never will.
    """
    asked = yield from core.ask(_request(video_id))
    answer = require_success(asked.answer, about=video_id)
    if len(answer.body) <= LARGEST_NOTE:
        _require_result(video_id, read_answer(answer, _Note))
    return read_answer(answer, Result)


def _begin(core: Core, video_id: str) -> Flow[bytes]:
    """Return the first bytes of a result; a note is an error."""
    yield from core.stream(_request(video_id), about=video_id)
    first = b""
    while len(first) <= LARGEST_NOTE and (piece := (yield from read_piece())):
        first += piece
    if len(first) <= LARGEST_NOTE:
        _require_result(video_id, read_answer(Answer(200, body=first), _Note))
    return first


def _request(video_id: str) -> Request:
    return Request(method="GET", path=f"/api/result_video/{quote(video_id, safe='')}")


def _take(first: bytes, take: Callable[[bytes], object]) -> Flow[int]:
    taken, piece = 0, first
    while piece:
        yield from work(partial(take, piece))
        taken += len(piece)
        piece = yield from read_piece()
    return taken


def _require_result(video_id: str, note: _Note) -> None:
    if note.status == "failed":
        failure = note.error or UNKNOWN
        raise VideoFailed(video_id, failure.code, failure.message)
    if note.status != "ready":
        raise NotReady(video_id, note.status)

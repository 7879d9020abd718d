"""What is in a video, and when: counts for each class, and segments in which it is to be seen."""

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Response

from api.access.keys import Reads
from api.dependencies import Served
from api.openapi.answers import Summary
from api.problems import documented
from api.results.asked import MOST_NAMED, ClassName
from api.results.derived import COMPUTING, computing
from api.results.ready import CODES, require_ready
from api.results.streamed import stream_pieces
from app.exports.summary import Counted, Joiner, Runs, default_gap

router = APIRouter(prefix="/api/v1", tags=["results"])

LONGEST_GAP: Final = 86_400.0
"""Seconds: a day, so that everything is one segment."""

_counted: Final = msgspec.json.Decoder(Counted)
_runs: Final = msgspec.json.Decoder(Runs)
_encoder: Final = msgspec.json.Encoder()


@router.get(
    "/videos/{video_id}/summary",
    response_model=Summary,
    summary="What is in a video, and when",
    responses={202: COMPUTING, **documented(401, 403, 404, 409, 422, codes=CODES)},
)
async def summarize(
    video_id: str,
    services: Served,
    caller: Reads,
    gap: Annotated[
        float | None,
        Query(
            ge=0,
            le=LONGEST_GAP,
            allow_inf_nan=False,
            description="Seconds without a sight of a class that do not end a segment. When not said: 1, or "
            "twice the time between two frames that were looked at, whichever is more.",
        ),
    ] = None,
    classes: Annotated[
        list[ClassName], Query(alias="class", max_length=MOST_NAMED, description="Only these classes.")
    ] = [],  # noqa: B006 - FastAPI copies it, and wants it like this
) -> Response:
    """Answer with how much of each class there is, and with the segments in which it is to be seen.

    It is computed when it is first asked for, and kept; another `gap` costs nothing.
    """
    video, result = await require_ready(services, caller, video_id)
    kept = await services.derivations.find(video, result, "summary")
    if kept is None:
        return computing()
    async with AsyncExitStack() as stack:
        _, pieces = await stack.enter_async_context(
            services.storage.stream(video.bucket, kept.name, chunk=1 << 16)
        )
        body = _written(video.id, _lines(pieces), gap, classes)
        return await stream_pieces(body, stack.pop_all(), headers={}, media_type="application/json")


async def _written(
    video_id: str, lines: AsyncIterator[bytes], gap: float | None, classes: Collection[str]
) -> AsyncIterator[bytes]:
    counted = _counted.decode(await anext(lines))
    gap = default_gap(counted.interval) if gap is None else gap
    head: dict[str, Any] = {
        "event_id": video_id,
        "gap": gap,
        "interval": counted.interval,
        "looked_at": counted.looked_at,
        "not_looked_at": counted.not_looked_at,
    }
    yield _encoder.encode(head)[:-1] + b',"classes":['
    facts = {each.class_: each for each in counted.classes}
    name, joiner, separator = "", Joiner(gap), b""
    async for line in lines:
        runs = _runs.decode(line)
        if classes and runs.class_ not in classes:
            continue
        if runs.class_ != name:
            if name:
                yield _segments(joiner.end(), separator) + b"]}"
            opening = b"," if name else b""
            yield opening + _encoder.encode(facts[runs.class_])[:-1] + b',"segments":['
            name, joiner, separator = runs.class_, Joiner(gap), b""
        if written := _segments(joiner.add(runs.runs), separator):
            yield written
            separator = b","
    yield (_segments(joiner.end(), separator) + b"]}" if name else b"") + b"]}"


def _segments(segments: Collection[object], separator: bytes) -> bytes:
    return separator + _encoder.encode(segments)[1:-1] if segments else b""


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line

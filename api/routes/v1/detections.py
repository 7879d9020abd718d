"""What was found in a video: some rows at a time, or all of it in the form that a client reads best."""

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Header, Query, Response
from starlette.exceptions import HTTPException

from api.access.keys import Reads
from api.dependencies import Served
from api.openapi.answers import DetectionsPage
from api.problems import Invalid, documented
from api.results.asked import Detections
from api.results.derived import COMPUTING, computing
from api.results.ready import CODES, require_ready
from api.results.row_pages import Choice, read_page
from api.results.stored import Stored, open_stored
from api.results.streamed import stream_export
from api.transport.json_response import JsonResponse
from app.domain.objects import (
    detection_object,
)
from app.domain.results import Row
from app.exports.formats import FORMATS, FormatName, choose_format
from app.exports.selection import Selection

router = APIRouter(prefix="/api/v1", tags=["results"])

_FORMS: Final = {
    form.media_type.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
    for name, form in FORMATS.items()
    if name not in {"json", "coco"}
}

_row: Final = msgspec.json.Decoder(Row)
_encoder: Final = msgspec.json.Encoder()


@router.get(
    "/videos/{video_id}/detections",
    response_model=DetectionsPage,
    summary="What was found, in many forms",
    responses={
        200: {"description": "The detections, in the form that was asked for.", "content": _FORMS},
        202: COMPUTING,
        **documented(401, 403, 404, 406, 409, 422, codes=CODES),
    },
)
async def list_detections(
    video_id: str,
    services: Served,
    caller: Reads,
    asked: Annotated[Detections, Query()],
    accept: Annotated[str | None, Header(max_length=1000)] = None,
) -> Response:
    """Answer with frames and what was found in them, a page at a time, or with all of it as a file.

    `format`, or else `Accept`, says in which form; each is described in `docs/formats.md`. `mot`, and
    whatever is asked for with `tracks`, needs the objects to be followed first: until that is done the
    answer is 202.
    """
    name = asked.format or choose_format(accept)
    if name is None:
        raise HTTPException(406, f"None of the forms that there are: {', '.join(FORMATS)}.")
    _check(asked, name)
    video, result = await require_ready(services, caller, video_id)
    source = detection_object(video.id)
    if asked.tracks or asked.track or name == "mot":
        tracked = await services.derivations.find(video, result, "tracked")
        if tracked is None:
            return computing()
        source = tracked.name
    stored = await open_stored(services.storage, video.bucket, source)
    if name == "json" and asked.limit:
        return await _page(stored, asked)
    return await stream_export(services, video, stored, name, asked.selection)


def _check(asked: Detections, name: FormatName) -> None:
    if asked.start is not None and asked.end is not None and asked.end <= asked.start:
        raise Invalid("to", "is not after from")
    if asked.cursor and (name != "json" or not asked.limit):
        raise Invalid("cursor", "goes with pages only: format json, and a limit")


async def _page(stored: Stored, asked: Detections) -> Response:
    selection = asked.selection
    is_everything = not (selection.is_picky or selection.is_timed)

    def choose(raw: bytes) -> Choice:
        return Choice(raw) if is_everything else _choose(raw, selection)

    start = stored.first
    if selection.start is not None and not asked.cursor:
        start = await stored.seek(selection.start)
    body = await read_page(stored, choose, limit=asked.limit, cursor=asked.cursor, start=start)
    return JsonResponse(body, headers={"Vary": "Accept"})


def _choose(raw: bytes, selection: Selection) -> Choice:
    row = _row.decode(raw)
    if selection.is_over(row):
        return Choice(None, is_last=True)
    chosen = selection.apply(row)
    if chosen is None or selection.says_nothing(chosen):
        return Choice(None)
    return Choice(_encoder.encode(chosen))

"""Objects that were followed through a video, one row for each."""

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Query, Response

from api.access.keys import Reads
from api.dependencies import Served
from api.openapi.answers import TracksPage
from api.problems import documented
from api.results.asked import Tracks
from api.results.derived import COMPUTING, computing
from api.results.ready import CODES, require_ready
from api.results.row_pages import Choice, read_page
from api.results.stored import open_stored
from api.transport.json_response import JsonResponse
from app.domain.result_rows import TRACKS
from app.exports.tracks import Track

router = APIRouter(prefix="/api/v1", tags=["results"])

_track: Final = msgspec.json.Decoder(Track)


@router.get(
    "/videos/{video_id}/tracks",
    response_model=TracksPage,
    summary="Objects followed through a video",
    responses={202: COMPUTING, **documented(401, 403, 404, 409, 422, codes=CODES)},
)
async def list_tracks(
    video_id: str, services: Served, caller: Reads, asked: Annotated[Tracks, Query()]
) -> Response:
    """Answer with the tracks, in the order in which they begin; where each was, `detections?track=` tells.

    They are computed when they are first asked for, by ByteTrack, class by class: until that is done the
    answer is 202. Then they are kept, and go with the video.
    """
    video, result = await require_ready(services, caller, video_id)
    kept = await services.derivations.find(video, result, "tracks")
    if kept is None:
        return computing()
    stored = await open_stored(services.storage, video.bucket, kept.name, TRACKS)

    def choose(raw: bytes) -> Choice:
        return Choice(raw if _is_asked_for(_track.decode(raw), asked) else None)

    body = await read_page(stored, choose, limit=asked.limit, cursor=asked.cursor, start=stored.first)
    return JsonResponse(body)


def _is_asked_for(track: Track, asked: Tracks) -> bool:
    return (
        (not asked.classes or track.class_ in asked.classes)
        and (asked.start is None or (track.end or 0.0) >= asked.start)
        and (asked.end is None or (track.start or 0.0) < asked.end)
    )

"""The list of videos, and one of them."""

from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, StringConstraints

from api.access.keys import Reads
from api.cursors import LONGEST, read_cursor
from api.dependencies import Served
from api.lifecycle.video_answers import ShownVideo, VideoList, listing, shown
from api.problems import UnknownVideo, documented
from api.transport.json_response import JsonResponse
from app.clients.main_db.video_outbox import Wanted
from app.domain.states import State

router = APIRouter(prefix="/api/v1", tags=["videos"])

PAGE: Final = 50
LARGEST_PAGE: Final = 200

MOST_TAGS: Final = 16
LONGEST_TAG: Final = 64

FIRST_YEAR: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST_YEAR: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""Times beyond these are taken for these: nothing is older or newer, and they can be counted with."""

Tag: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TAG)]

StatusQuery: TypeAlias = Annotated[
    list[State], Query(description="In one of these states; repeat it for several. None is any.")
]
TagQuery: TypeAlias = Annotated[
    list[Tag], Query(max_length=MOST_TAGS, description="With this tag; repeat it: with all of them.")
]
AfterQuery: TypeAlias = Annotated[
    AwareDatetime | None,
    Query(description="Accepted later than this, a time with its zone.", examples=["2026-01-31T00:00:00Z"]),
]
BeforeQuery: TypeAlias = Annotated[
    AwareDatetime | None, Query(description="Accepted earlier than this.", examples=["2026-02-28T00:00:00Z"])
]
CursorQuery: TypeAlias = Annotated[
    str | None, Query(max_length=LONGEST, description="`next_cursor` of the page before.")
]


@router.get("/videos", response_model=VideoList, summary="List videos", responses=documented(401, 403, 422))
async def list_videos(
    *,
    services: Served,
    caller: Reads,
    status: StatusQuery = [],  # noqa: B006 - FastAPI copies it
    tag: TagQuery = [],  # noqa: B006 - see above
    created_after: AfterQuery = None,
    created_before: BeforeQuery = None,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = PAGE,
    cursor: CursorQuery = None,
) -> Response:
    """List videos, newest first; with a key, its own ones.

    A cursor is a place in time: videos that come or go meanwhile move nothing on the pages after it. Go on as
    long as there is a `next_cursor`: with several tags, or a tag and a status, a page may be short.
    """
    wanted = Wanted(
        states=frozenset(status),
        tags=tuple(dict.fromkeys(tag)),
        after=_within_reach(created_after),
        before=_within_reach(created_before),
        owner=caller.sees,
    )
    after = read_cursor(cursor) if cursor else None
    page = await services.outbox.pages.page(wanted, limit=limit, after=after)
    return JsonResponse(listing(page))


@router.get(
    "/videos/{video_id}",
    response_model=ShownVideo,
    summary="Show a video",
    responses=documented(401, 403, 404),
)
async def show_video(video_id: str, services: Served, caller: Reads) -> Response:
    """Show how far a video is: status, stage, frames, rate, time left, its place in the queue, and times.

    The status is known even while the runner does not answer; `progress.known` is false then.
    """
    look = await services.looks.look(video_id, owner=caller.sees)
    if look is None:
        raise UnknownVideo(video_id)
    return JsonResponse(shown(look))


def _within_reach(time: datetime | None) -> datetime | None:
    if time is None:
        return None
    if time.replace(tzinfo=UTC) < FIRST_YEAR:
        return FIRST_YEAR
    return min(time, LAST_YEAR).astimezone(UTC)

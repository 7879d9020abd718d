"""Clients that are cut off in the middle of an upload, and clients that delete what is in work."""

import asyncio
import time
from random import Random
from typing import Final

import httpx

from app.clients.s3.storage import PART, open_storage
from app.domain.objects import (
    INPUT_PREFIX,
)
from tests.faults.fault import Fault, Field
from tests.support.raw_upload import begun_upload, request, reset

ACKNOWLEDGED_WITHIN: Final = 60.0
"""Seconds until there is a video to delete."""

CLEARED_WITHIN: Final = 20.0
"""Seconds until nothing is left of an upload whose client went away."""

SIZES: Final = (PART // 100, 3 * PART)
"""Bytes of a file that S3 gets at once, and of one that it gets in parts."""


def cut_upload(at: Field, random: Random) -> None:
    """Break off several uploads at random bytes, abruptly or in an orderly way; nothing is left of them."""
    for _ in range(4):
        size = random.choice(SIZES)
        is_abrupt = random.random() < 0.5
        with begun_upload(
            at.pipeline.settings.api_url, size, sent=_before_the_end(size, random)
        ) as connection:
            time.sleep(random.uniform(0, 0.3))
            if is_abrupt:
                reset(connection)
    at.pipeline.wait_until(
        lambda: not asyncio.run(_unfinished(at)),
        seconds=CLEARED_WITHIN,
        otherwise=lambda: f"parts are left of {asyncio.run(_unfinished(at))}",
    )


def cut_upload_by_kill(at: Field, random: Random) -> None:
    """Kill the API in the middle of an upload: what it leaves in S3, a sweep takes away a day later."""
    size = SIZES[1]
    with begun_upload(at.pipeline.settings.api_url, size, sent=_before_the_end(size, random)):
        time.sleep(random.uniform(0, 0.3))
        if not at.pipeline.stack.kill_program("api"):
            raise RuntimeError("the API did not run")


def _before_the_end(size: int, random: Random) -> int:
    """Return how many bytes of a request with a file of this size to send: never the last one."""
    return random.randrange(1, len(request(size)) + size)


async def _unfinished(at: Field) -> list[str]:
    settings = at.pipeline.settings
    async with open_storage(settings) as storage:
        found = await storage._s3.unfinished_uploads(settings.buckets[0], INPUT_PREFIX)
    return [each.name for each in found]


def delete_everything(at: Field, _random: Random) -> None:
    """Delete all videos: those that were accepted before the call go, those accepted later stay."""
    _one_acknowledged(at)
    before = set(at.acknowledged)
    _delete(at, "/api/cleanup/all", httpx.codes.OK)
    acknowledged = set(at.acknowledged)
    answer = at.pipeline.api.get("/api/status/all")
    left = {each["video_id"] for each in answer.raise_for_status().json()["operations"]}
    if before & left:
        raise RuntimeError(f"still known after everything was deleted: {before & left}")
    at.deleted |= acknowledged - left
    at.cleared_at = time.monotonic()


def delete_one(at: Field, random: Random) -> None:
    """Delete one of the acknowledged videos, however far it is."""
    _one_acknowledged(at)
    _delete_video(at, random.choice(_left(at)))


def delete_late(at: Field, random: Random) -> None:
    """Delete a video that has ended."""
    _one_acknowledged(at)
    video_id = random.choice(_left(at))
    at.pipeline.wait_for(video_id)
    _delete_video(at, video_id)


def _left(at: Field) -> list[str]:
    return [each for each in list(at.acknowledged) if each not in at.deleted]


def _one_acknowledged(at: Field) -> None:
    at.pipeline.wait_until(
        lambda: bool(_left(at)),
        seconds=ACKNOWLEDGED_WITHIN,
        otherwise=lambda: "no video was acknowledged",
    )


def _delete_video(at: Field, video_id: str) -> None:
    path = f"/api/v1/videos/{video_id}"
    at.deleted.add(video_id)
    _delete(at, path, httpx.codes.NO_CONTENT)
    _delete(at, path, httpx.codes.NOT_FOUND)


def _delete(at: Field, path: str, wanted: int) -> None:
    answer = at.pipeline.api.delete(path)
    if answer.status_code != wanted:
        raise RuntimeError(f"DELETE {path} answered {answer.status_code}: {answer.text}")


FAULTS: tuple[Fault, ...] = (
    Fault("cut-upload", "client", cut_upload),
    Fault("cut-upload", "api", cut_upload_by_kill),
    Fault("cleanup-all", "", delete_everything),
    Fault("delete-one", "", delete_one),
    Fault("delete-late", "", delete_late),
)

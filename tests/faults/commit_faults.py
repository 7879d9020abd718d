"""Processes that die between two statements of a commit point."""

import time
from functools import partial
from random import Random
from typing import Final

import httpx

from tests.faults.cancel_faults import cancel_one, retry_video
from tests.faults.clips import CORRUPT
from tests.faults.fault import Fault, Field

PLACES: Final = (
    "upload.stored",
    "upload.accepted",
    "outbox.claimed",
    "outbox.published",
    "splitter.accepted",
    "split.published",
    "split.failed",
    "inference.published",
    "gather.rows",
    "gather.durable",
    "gather.predictable",
    "gather.announced",
    "result.stored",
    "result.ready",
    "result.rows_deleted",
    "failure.stored",
    "handle.outbox_events",
    "handle.inference_tasks",
    "handle.inference_results",
    "handle.video_splits",
    "handle.video_results",
)
"""Failpoints that any video passes; between what, the code says around each."""

FAILING: Final = ("split.failed", "failure.stored")
"""Passed only by videos that fail."""

DELETING: Final = ("deletion.asked", "deletion.objects_gone")
"""Passed only when videos are deleted."""

CANCELLING: Final = ("cancel.marked", "cancel.confirmed", "splitter.cancelled", "failure.result_gone")
"""Passed only when videos are cancelled."""

RETRYING: Final = ("retry.marked",)
"""Passed only when they are tried again."""

HIT_WITHIN: Final = 5.0
"""Seconds until one more video is submitted, because those of the step have passed a failpoint already."""

TRIES: Final = 8
"""Videos submitted for it at most."""


def die_at(place: str, at: Field, random: Random) -> None:
    """Let whoever comes to a failpoint next die there."""
    at.arm(place)
    for _ in range(TRIES):
        if _is_hit(at, place):
            return
        at.submit(CORRUPT if place in FAILING else random.choice(("short-1", "short-2")))
    assert _is_hit(at, place), f"nothing came to {place}"


def die_deleting(place: str, at: Field, _random: Random) -> None:
    """Let whoever deletes a video die in between; the client asks again until it has an answer."""
    at.pipeline.wait_until(lambda: bool(at.acknowledged), seconds=60)
    at.arm(place)
    at.deleted.update(at.acknowledged)
    delete_all(at)
    at.cleared_at = time.monotonic()
    assert _is_hit(at, place), f"nothing came to {place}"


def delete_all(at: Field) -> None:
    """Ask for everything to be deleted until that is acknowledged."""

    def is_done() -> bool:
        try:
            return at.pipeline.api.delete("/api/cleanup/all").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    at.pipeline.wait_until(is_done, seconds=60, otherwise=lambda: "the cleanup was never acknowledged")


def die_cancelling(place: str, at: Field, random: Random) -> None:
    """Let whoever cancels a video die in between; the client asks again until it has an answer."""
    at.arm(place)
    for _ in range(TRIES):
        cancel_one(at, random)
        if _is_hit(at, place):
            return
    raise RuntimeError(f"nothing came to {place}")


def die_retrying(place: str, at: Field, random: Random) -> None:
    """Let whoever tries a video again die in between; the client asks again until it has an answer."""
    video_id = cancel_one(at, random)
    at.arm(place)
    retry_video(at, video_id)
    assert _is_hit(at, place), f"nothing came to {place}"


def _is_hit(at: Field, place: str) -> bool:
    deadline = time.monotonic() + HIT_WITHIN
    while not at.hits(place):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


FAULTS: tuple[Fault, ...] = (
    *(Fault("commit", place, partial(die_at, place)) for place in PLACES),
    *(Fault("commit", place, partial(die_deleting, place)) for place in DELETING),
    *(Fault("commit", place, partial(die_cancelling, place)) for place in CANCELLING),
    *(Fault("commit", place, partial(die_retrying, place)) for place in RETRYING),
)

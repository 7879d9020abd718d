"""Clients that cancel what is in work, try it again, and delete it in the middle of that."""

import time
from random import Random
from typing import Final

import httpx

from tests.faults.fault import Fault, Field

ANSWERED_WITHIN: Final = 60.0
"""Seconds for which a client asks again."""

TRIES: Final = 6
"""Videos that are submitted for it at most: one may be ready before it is cancelled."""


def cancel_one(at: Field, random: Random, *, stays: bool = True) -> str:
    """Cancel a long video at some moment of its life; return its id.

    Args:
        at: where.
        random: decides when.
        stays: whether it is left so.
    """
    for _ in range(TRIES):
        video_id = at.submit("long")
        time.sleep(random.uniform(0, 1.0 if at.is_quick else 3.0))
        answer = _ask(at, video_id, "cancel")
        if answer.status_code == httpx.codes.ACCEPTED:
            _shows_cancelled(at, video_id)
            if stays:
                at.cancelled.add(video_id)
            return video_id
        if answer.status_code != httpx.codes.CONFLICT:
            raise RuntimeError(f"cancel answered {answer.status_code}: {answer.text}")
    raise RuntimeError(f"{TRIES} videos were ready before they could be cancelled")


def retry_video(at: Field, video_id: str) -> None:
    """Try a cancelled video again: from now on it ends like any other.

    Where the API died after it had decided, it says to the next who ask that the video has not ended.
    """
    answer = _ask(at, video_id, "retry")
    if answer.status_code not in (httpx.codes.ACCEPTED, httpx.codes.CONFLICT):
        raise RuntimeError(f"retry answered {answer.status_code}: {answer.text}")
    at.cancelled.discard(video_id)


def cancel(at: Field, random: Random) -> None:
    """Cancel a video and leave it so."""
    cancel_one(at, random)


def retry(at: Field, random: Random) -> None:
    """Cancel a video twice, and try it again each time, at once or after a while; in the end it is ready."""
    video_id = cancel_one(at, random, stays=False)
    for _ in range(2):
        time.sleep(random.choice((0.0, random.uniform(0, 2.0))))
        retry_video(at, video_id)
        time.sleep(random.uniform(0, 1.5))
        _ask(at, video_id, "cancel")
    if _ask(at, video_id, "retry").status_code not in (httpx.codes.ACCEPTED, httpx.codes.CONFLICT):
        raise RuntimeError("it cannot be tried again")


def delete_cancelled(at: Field, random: Random) -> None:
    """Delete a video a moment after it was cancelled, or tried again: nothing of it comes back."""
    video_id = cancel_one(at, random, stays=False)
    time.sleep(random.choice((0.0, random.uniform(0, 1.5))))
    if random.random() < 0.5:
        retry_video(at, video_id)
        time.sleep(random.choice((0.0, random.uniform(0, 1.5))))
    at.deleted.add(video_id)
    answer = _answer(at, "DELETE", f"/api/v1/videos/{video_id}")
    if answer.status_code != httpx.codes.NO_CONTENT:
        raise RuntimeError(f"DELETE answered {answer.status_code}: {answer.text}")


def cancel_without_kafka(at: Field, random: Random) -> None:
    """Cancel a video while Kafka is away: the status holds at once, the rest follows."""
    stack, video_id = at.pipeline.stack, at.submit("long")
    time.sleep(random.uniform(0, 2.0))
    stack.stop_program("kafka")
    try:
        if _ask(at, video_id, "cancel").status_code == httpx.codes.ACCEPTED:
            _shows_cancelled(at, video_id)
            at.cancelled.add(video_id)
        time.sleep(at.outage)
    finally:
        stack.start_program("kafka")


def _shows_cancelled(at: Field, video_id: str) -> None:
    answer = _answer(at, "GET", f"/api/result_video/{video_id}")
    code = answer.raise_for_status().json().get("error", {}).get("code")
    if code != "cancelled":
        raise RuntimeError(f"it was cancelled, and is shown as {answer.text}")


def _ask(at: Field, video_id: str, what: str) -> httpx.Response:
    return _answer(at, "POST", f"/api/v1/videos/{video_id}/{what}")


def _answer(at: Field, method: str, path: str) -> httpx.Response:
    """Ask until there is an answer: the API may die of it."""
    deadline = time.monotonic() + ANSWERED_WITHIN
    while True:
        try:
            answer = at.pipeline.api.request(method, path)
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
        else:
            if not answer.is_server_error or time.monotonic() > deadline:
                return answer
        time.sleep(0.2)


FAULTS: tuple[Fault, ...] = (
    Fault("cancel", "", cancel),
    Fault("cancel", "without-kafka", cancel_without_kafka),
    Fault("retry", "", retry),
    Fault("delete-cancelled", "", delete_cancelled),
)

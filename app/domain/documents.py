"""The result as its reader gets it, put together piece by piece so that no part of it grows in memory.

`detection/{id}.json` and `failed/{id}.json` are, byte for byte, the bodies of
`GET /api/result_video/{id}`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from app.domain.messages import Failure, ModelFacts, VideoFacts

INPUT_PREFIX = "input/"
DETECTION_PREFIX = "detection/"
FAILED_PREFIX = "failed/"
DELETED_PREFIX = "deleted/"
DERIVED_PREFIX = "derived/"

OUR_PREFIXES = (
    INPUT_PREFIX,
    DETECTION_PREFIX,
    FAILED_PREFIX,
    DELETED_PREFIX,
    DERIVED_PREFIX,
    "rejected/",
)
"""How the names begin that Kadr gives; the last one is kept for what is set aside."""

OWNER_KEY = "kadr-upload"
"""S3 metadata that marks an object as written by Kadr: nothing else is ever swept."""

OURS = {OWNER_KEY: "1"}
"""That metadata, as it is written."""

ATTEMPT_KEY = "kadr-attempt"
"""S3 metadata of a result or a reason: of which attempt it is what came."""


def marks(attempt: int) -> dict[str, str]:
    """Return the metadata of what came of an attempt."""
    return OURS | {ATTEMPT_KEY: str(attempt)}


def attempt_of(metadata: Mapping[str, str]) -> int | None:
    """Return of which attempt an object is what came; None when a worker of version 0.1 has written it."""
    said = metadata.get(ATTEMPT_KEY, "")
    return int(said) if said.isascii() and said.isdecimal() else None


def is_of_attempt(metadata: Mapping[str, str], attempt: int) -> bool:
    """Return whether an object counts as what came of this attempt, because it is not of one before it."""
    found = attempt_of(metadata)
    return found is None or found >= attempt


def input_object(video_id: str) -> str:
    """Return the object name of an uploaded video."""
    return f"{INPUT_PREFIX}{video_id}.mp4"


def detection_object(video_id: str) -> str:
    """Return the object name of a video's result."""
    return f"{DETECTION_PREFIX}{video_id}.json"


def failed_object(video_id: str) -> str:
    """Return the object name of the reason why a video failed."""
    return f"{FAILED_PREFIX}{video_id}.json"


def deleted_object(video_id: str) -> str:
    """Return the object name that tells the API: the pipeline has forgotten this video."""
    return f"{DELETED_PREFIX}{video_id}"


def derived_folder(video_id: str) -> str:
    """Return how the names of all objects begin that are made from a video or its result, and go with it."""
    return f"{DERIVED_PREFIX}{video_id}/"


def derived_object(video_id: str, name: str) -> str:
    """Return the object name of one of them.

    Args:
        video_id: whose it is.
        name: what it is, without a slash; with the version of how it is made where it is computed, such as
            `summary.v1.jsonl`.
    """
    return f"{derived_folder(video_id)}{name}"


def failed_document(video_id: str, failure: Failure) -> bytes:
    """Return the body that says why a video failed."""
    return msgspec.json.encode(
        {
            "status": "failed",
            "event_id": video_id,
            "error": {"code": failure.code, "message": failure.message},
        }
    )


async def ready_document(
    video_id: str,
    *,
    video: VideoFacts,
    model: ModelFacts,
    options: dict[str, Any] | None,
    rows: AsyncIterator[list[bytes]],
    other_models: Sequence[ModelFacts] = (),
) -> AsyncIterator[bytes]:
    """Yield the body of a finished result in pieces.

    Args:
        video_id: whose result it is.
        video: facts of the video.
        model: the model that looked, the first one if there were several.
        options: every option with its value (`app.domain.options.listed`); None where v0.1 has not kept them.
        rows: the frames as JSON, in order, some at a time.
        other_models: that looked at some of the frames, too.
    """
    facts: dict[str, Any] = {"status": "ready", "event_id": video_id, "video": video, "model": model}
    if other_models:
        facts["other_models"] = other_models
    head = msgspec.json.encode(facts if options is None else facts | {"options": options})
    yield head[:-1] + b',"prediction":['
    separator = b""
    async for some in rows:
        yield separator + b",".join(some)
        separator = b","
    yield b"]}"

"""The result as its reader gets it, put together piece by piece so that no part of it grows in memory.

`detection/{id}.json` and `failed/{id}.json` are, byte for byte, the bodies of
`GET /api/result_video/{id}`.
"""

from collections.abc import AsyncIterator

import msgspec

from app.domain.messages import Failure, ModelFacts, VideoFacts

INPUT_PREFIX = "input/"
DETECTION_PREFIX = "detection/"
FAILED_PREFIX = "failed/"
DELETED_PREFIX = "deleted/"

OWNER_KEY = "kadr-upload"
"""S3 metadata that marks an object as written by Kadr: nothing else is ever swept."""

OURS = {OWNER_KEY: "1"}
"""That metadata, as it is written."""


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
    video_id: str, *, video: VideoFacts, model: ModelFacts, rows: AsyncIterator[list[bytes]]
) -> AsyncIterator[bytes]:
    """Yield the body of a finished result in pieces.

    Args:
        video_id: whose result it is.
        video: facts of the video.
        model: the model that looked.
        rows: the frames as JSON, in order, some at a time.
    """
    head = msgspec.json.encode({"status": "ready", "event_id": video_id, "video": video, "model": model})
    yield head[:-1] + b',"prediction":['
    separator = b""
    async for some in rows:
        yield separator + b",".join(some)
        separator = b","
    yield b"]}"

"""The result as its reader gets it, put together piece by piece so that no part of it grows in memory.

`detection/{id}.json` and `failed/{id}.json` are, byte for byte, the bodies of
`GET /api/result_video/{id}`.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from app.domain.messages import Failure, ModelFacts, VideoFacts


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

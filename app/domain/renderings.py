"""Pictures and videos that are made of a video when somebody asks for them, and how a runner is asked.

Made by a runner, kept in S3 beside the result under `derived/{id}/`. While one is made, and for some time
after it could not be, a small object beside it says so: every API and every runner reads the same.
"""

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from app.domain.messages import Failure, FrameNumber, VideoId
from app.domain.objects import (
    derived_object,
)
from app.errors import Malformed

RenderingKind: TypeAlias = Literal["annotated", "preview"]

MEDIA_TYPE: Final = "video/mp4"

SIGNATURE: Final = "x-kadr-signature"
"""The header in which a request to a runner is signed."""

LEASE: Final = timedelta(seconds=15)
"""How long a note holds that says that a rendering is being made; its runner writes it every 5 s. So long
after a runner has died, somebody begins anew."""

FAILED_FOR: Final = timedelta(hours=1)
"""How long nobody tries again what could not be made."""

SENTENCES: Final[dict[str, str]] = {
    "no_such_frame": "The video has no frame of this number.",
    "rendering_too_large": "The rendering is larger than the limit allows.",
}
"""How a rendering can fail beside all the ways in which a video can (`app.domain.failures`)."""


class RenderingAsked(Struct, frozen=True):
    """A rendering of a whole video is wanted; its input is this object."""

    video_id: VideoId
    kind: RenderingKind
    bucket: Annotated[str, Meta(min_length=1, max_length=63)]
    object: Annotated[str, Meta(min_length=1, max_length=1024)]


class FrameAsked(Struct, frozen=True):
    """One frame of a video is wanted as a JPEG.

    Attributes:
        frame: its number in the source, counted from 0.
        boxes: whether what was found is drawn into it.
    """

    video_id: VideoId
    bucket: Annotated[str, Meta(min_length=1, max_length=63)]
    object: Annotated[str, Meta(min_length=1, max_length=1024)]
    frame: FrameNumber
    boxes: bool = False


class RenderingState(Struct, frozen=True):
    """How far a rendering is.

    Attributes:
        state: `queued` and `making` come to an end by themselves, `failed` does not.
        until: when this is no longer true unless it is said again.
        frames_done: frames that are made.
        frames_total: frames that there are, as far as is known.
        owner: who makes it.
        error: why it could not be made.
    """

    state: Literal["queued", "making", "failed"]
    until: datetime
    frames_done: int = 0
    frames_total: int | None = None
    owner: str = ""
    error: Failure | None = None

    def holds(self, now: datetime) -> bool:
        """Return whether it is still true."""
        return now < self.until


def rendering_object(video_id: str, kind: RenderingKind) -> str:
    """Return the object name of a rendering."""
    return derived_object(video_id, f"{kind}.mp4")


def state_object(video_id: str, kind: RenderingKind) -> str:
    """Return the object name of what is to be said of a rendering while it is not there."""
    return derived_object(video_id, f"{kind}.state.json")


def read_state(body: bytes) -> RenderingState | None:
    """Return what such an object says; None when it cannot be read, which is as good as none."""
    try:
        return msgspec.json.decode(body, type=RenderingState)
    except msgspec.DecodeError:
        return None


def read_rendering_asked(body: bytes) -> RenderingAsked:
    """Return what is asked for.

    Raises:
        Malformed: nothing that there is.
    """
    try:
        return msgspec.json.decode(body, type=RenderingAsked)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed("RenderingAsked", error) from error


def read_frame_asked(body: bytes) -> FrameAsked:
    """Return which frame is asked for.

    Raises:
        Malformed: none.
    """
    try:
        return msgspec.json.decode(body, type=FrameAsked)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed("FrameAsked", error) from error


def rendering_failure(code: str, detail: str = "") -> Failure:
    """Return the failure with this code; the detail, if any, follows the sentence.

    Raises:
        KeyError: no sentence is known for this code, which is our mistake.
    """
    return Failure(code, f"{SENTENCES[code]} {detail}".strip())


def sign(secret: str, body: bytes) -> str:
    """Return what proves that who asks a runner for this knows the key of the object storage.

    The runner's other pages tell numbers; these tell what is in videos, so they are for Kadr's API only.

    Args:
        secret: MINIO_SECRET_KEY, which the API and the runner share.
        body: of the request.
    """
    return hmac.new(secret.encode(), b"kadr rendering\n" + body, hashlib.sha256).hexdigest()


def is_signed(secret: str, body: bytes, signature: str) -> bool:
    """Return whether a request was signed with the same secret."""
    return hmac.compare_digest(sign(secret, body).encode(), signature.encode())

"""What is kept of a video and of a command on it, between Mongo's documents and our own words."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from app.clients.mongo import Document
from app.domain.messages import Failure, Options, VideoAsked
from app.domain.sentences import ClientStatus

Outcome: TypeAlias = Literal["ready", "failed"]
Cursor: TypeAlias = tuple[datetime, str]

DEFAULT_OPTIONS = Options()


@dataclass(frozen=True)
class Video:
    """What the API remembers of a video.

    Attributes:
        status: `new` until it was published, then `sent`.
        outcome: what was seen in S3, once.
        error: why it failed, where it did.
        last_error: why it could not be published the last time.
        redrives: how often it was published again because nothing came of it.
    """

    id: str
    status: Literal["new", "sent"]
    bucket: str
    object: str
    created_at: datetime
    media_type: str = "video"
    options: Options = DEFAULT_OPTIONS
    attempt: int = 1
    input_owned: bool = False
    filename: str | None = None
    sent_at: datetime | None = None
    tries: int = 0
    redrives: int = 0
    last_error: str | None = None
    outcome: Outcome | None = None
    outcome_at: datetime | None = None
    error: Failure | None = None

    @property
    def client_status(self) -> ClientStatus:
        """The word that a client sees."""
        return self.outcome or self.status


@dataclass(frozen=True)
class Claimed:
    """Something that is ours to publish until the lease ends.

    Attributes:
        key: `_id` of the document.
        is_command: whether it is a command or a video.
        asked: what is to be published.
        lease_until: when somebody else may take it.
        tries: how often it was claimed, this time included.
        created_at: when a client asked for it.
        redrives: how often it was published again before.
    """

    key: str
    is_command: bool
    asked: VideoAsked
    lease_until: datetime
    tries: int
    created_at: datetime
    redrives: int = 0


@dataclass(frozen=True)
class Deletion:
    """A deletion that was published and is not confirmed yet.

    Attributes:
        id: of its command.
        bucket: where its confirmation will lie.
        created_at: when a client asked for it.
    """

    id: str
    video_id: str
    bucket: str
    created_at: datetime


@dataclass(frozen=True)
class Page:
    """Some videos, newest first, and where the next page begins, if there is one."""

    videos: list[Video]
    next: Cursor | None


def delete_command(document: Document, now: datetime) -> Document:
    """Return the command that removes a video; its `_id` says so, hence asking twice is asking once."""
    attempt = document.get("attempt", 1)
    return {
        "_id": f"{document['_id']}/{attempt}/delete",
        "video_id": document["_id"],
        "attempt": attempt,
        "kind": "delete",
        "status": "new",
        "payload": document["payload"],
        "input_owned": document["input_owned"],
        "created_at": now,
        "tries": 0,
        "redrives": 0,
    }


def to_video(document: Document) -> Video:
    """Return what the document of a video says."""
    payload, error = document["payload"], document.get("error")
    names = ("status", "created_at", "attempt", "input_owned", "filename", "sent_at", "tries", "redrives")
    more = ("last_error", "outcome", "outcome_at")
    return Video(
        id=document["_id"],
        bucket=payload["bucket"],
        object=payload["object"],
        media_type=payload.get("media_type", "video"),
        options=_options(document),
        error=msgspec.convert(error, Failure) if error else None,
        **{name: document[name] for name in names + more if name in document},
    )


def to_deletion(command: Document) -> Deletion:
    """Return what the command that removes a video says."""
    return Deletion(command["_id"], command["video_id"], command["payload"]["bucket"], command["created_at"])


def to_claimed(document: Document, until: datetime, *, is_command: bool) -> Claimed:
    """Return the claim on a document, as it was read before it was claimed."""
    payload = document["payload"]
    asked = VideoAsked(
        video_id=document["video_id"] if is_command else document["_id"],
        kind=document["kind"] if is_command else "submitted",
        attempt=document.get("attempt", 1),
        bucket=payload["bucket"],
        object=payload["object"],
        media_type=payload.get("media_type", "video"),
        input_owned=document.get("input_owned", False),
        options=_options(document),
    )
    return Claimed(
        key=document["_id"],
        is_command=is_command,
        asked=asked,
        lease_until=until,
        tries=document.get("tries", 0) + 1,
        created_at=document["created_at"],
        redrives=document.get("redrives", 0),
    )


def _options(document: Document) -> Options:
    return msgspec.convert(document["payload"].get("options", {}), Options)

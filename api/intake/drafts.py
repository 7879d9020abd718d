"""A request for a video becomes a draft: what is checked and kept before anything is recorded."""

import hashlib
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import uuid4

import msgspec

from api.access.keys import Caller
from api.dependencies import Services
from api.intake.admission import NewVideo, drop
from api.intake.incoming import Incoming
from api.intake.options import VideoOptions, to_message
from api.intake.orders import VideoRequest
from api.intake.requested import check_allowed, check_name
from api.intake.upload import Uploaded, check_bucket, default_bucket
from app.domain.objects import (
    input_object,
)
from app.errors import Missing


@dataclass(frozen=True)
class Draft:
    """A video that may be recorded, and what tells its request from others."""

    new: NewVideo
    fingerprint: str


class Submission(Protocol):
    """A request that wants a video looked at."""

    async def prepare(self) -> Draft:
        """Check it, and keep what has to be kept."""

    async def fingerprint(self) -> str:
        """Return what tells it from other requests; nothing is kept."""

    async def give_up(self, draft: Draft) -> None:
        """Take away what was kept."""


class SentVideo:
    """A request that sends a video.

    Args:
        services: what is used.
        caller: whose it will be.
        incoming: the video.
        is_digested: whether its fingerprint is wanted.
    """

    def __init__(self, services: Services, caller: Caller, incoming: Incoming, *, is_digested: bool) -> None:
        self._services = services
        self._caller = caller
        self._incoming = incoming
        self._is_digested = is_digested

    async def prepare(self) -> Draft:
        """Write the video to S3."""
        video_id = str(uuid4())
        uploaded = await self._incoming.keep(self._caller, video_id, is_digested=self._is_digested)
        new = new_upload(video_id, uploaded, self._caller)
        return Draft(with_options(new, uploaded.options), _print_of_upload(uploaded))

    async def fingerprint(self) -> str:
        """Read the video."""
        return _print_of_upload(await self._incoming.look())

    async def give_up(self, draft: Draft) -> None:
        """Remove it from S3."""
        await drop(self._services, draft.new.bucket, draft.new.object)


class StoredVideo:
    """A request for a video that is in the object storage already.

    Args:
        services: what is used.
        caller: whose it will be.
        wanted: what the client says.
    """

    def __init__(self, services: Services, caller: Caller, wanted: VideoRequest) -> None:
        self._services = services
        self._caller = caller
        self._wanted = wanted
        self._bucket = wanted.bucket or default_bucket(services.settings.buckets)

    async def prepare(self) -> Draft:
        """Check that it is there and may be asked for."""
        bucket, name = self._bucket, self._wanted.object
        await find_stored(self._services, self._caller, bucket, name)
        new = NewVideo(str(uuid4()), bucket, name, size=0, input_owned=False, owner=self._caller.id)
        return Draft(with_options(new, self._wanted), await self.fingerprint())

    async def fingerprint(self) -> str:
        """Return the digest of what the client says."""
        return _digest("stored", self._bucket, self._wanted.object, _facts(self._wanted))

    async def give_up(self, draft: Draft) -> None:
        """The object is not ours."""


def new_upload(video_id: str, uploaded: Uploaded, caller: Caller) -> NewVideo:
    """Return a video that was uploaded just now."""
    return NewVideo(
        video_id,
        uploaded.bucket,
        input_object(video_id),
        size=uploaded.size,
        input_owned=True,
        owner=caller.id,
        filename=uploaded.filename,
    )


async def find_stored(services: Services, caller: Caller, bucket: str, name: str) -> None:
    """Return if an object is there that the caller may have looked at.

    Raises:
        Invalid: its bucket or its name cannot be asked for.
        Missing: it is not there, or not for the caller.
    """
    check_bucket(bucket, services.settings.buckets)
    check_name(name)
    await check_allowed(services, caller, bucket, name)
    if await services.storage.stat(bucket, name) is None:
        raise Missing(f"{bucket}/{name}")


def with_options(new: NewVideo, options: VideoOptions) -> NewVideo:
    """Return a video for which something is chosen."""
    return replace(new, options=to_message(options), tags=tuple(options.tags), webhook=options.webhook)


def _print_of_upload(uploaded: Uploaded) -> str:
    return _digest(
        "sent", uploaded.bucket, uploaded.filename, uploaded.size, uploaded.sha256, _facts(uploaded.options)
    )


def _facts(options: VideoOptions) -> dict[str, object]:
    return options.model_dump(include=set(VideoOptions.model_fields))


def _digest(*facts: object) -> str:
    return hashlib.sha256(msgspec.json.encode(facts, order="sorted")).hexdigest()

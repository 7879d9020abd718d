"""Uploads that go to S3 without us: begun here, sent by the client with URLs we sign, completed here.

What the URLs allow is one object of ours with the announced size and our mark, written once. What was never
completed is taken away a day later. The object has its final name from the start, so that completing copies
nothing, and whatever a crash leaves is an upload without a document, which the sweeps know.
"""

import logging
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from api.access.keys import Caller
from api.dependencies import Services
from api.intake.admission import NewVideo, admit, announce, refusal_of, upload_limit
from api.intake.options import to_message
from api.intake.upload import check_bucket, default_bucket, upload_metadata, video_content_type
from api.intake.upload_answers import (
    MOST_PARTS,
    URLS_AT_ONCE,
    BegunUpload,
    PartPut,
    Parts,
    Put,
    SentPart,
    WantedParts,
    WantedUpload,
)
from api.intake.webhook_url import check_receiver
from api.problems import Invalid
from app.clients.main_db.direct_uploads import EXPIRES_AFTER, DirectUpload, DirectUploads
from app.clients.main_db.key_usage import OverQuota
from app.clients.main_db.video_outbox import VideoOutbox
from app.clients.s3.storage import Storage, UploadedPart, object_headers
from app.domain.filenames import clean_filename
from app.domain.objects import (
    OWNER_KEY,
    input_object,
)
from app.errors import Conflict, Missing, Rejected, Unavailable
from app.failpoints import failpoint

logger = logging.getLogger(__name__)

SINGLE_UP_TO: Final = 16 << 20
"""Bytes that go in one request; a larger file is worth to go on with where it broke off."""

PART_LEAST: Final = 16 << 20
"""Bytes of a part, unless there would be more than `MOST_PARTS`. S3 wants 5 MiB at least."""

PART_STEP: Final = 1 << 20
"""Larger parts are whole MiB."""

URLS_LAST: Final = timedelta(hours=1)
"""From the signature to the begin of the request; new URLs cost one call."""

SHOWN: Final = 10
"""Missing parts that an answer names."""

PER_ROUND: Final = 100
"""Expired uploads that are taken away at once."""


class UnknownUpload(Missing):
    """There is no such upload, or it is over."""

    def __init__(self, upload_id: str) -> None:
        super().__init__(f"The upload {upload_id[:64]}")


class NotUploaded(Rejected):
    """What was to be completed has not arrived yet."""

    def __init__(self, reason: str) -> None:
        super().__init__("not_uploaded", reason)


async def begin(services: Services, caller: Caller, wanted: WantedUpload) -> BegunUpload:
    """Begin an upload.

    Raises:
        Invalid: the bucket is not allowed, or nobody can be told at the webhook's address.
        TooLarge: the file is larger than an upload may be.
        OverQuota: the key may not upload so much now.
        NoRoom: the disk is nearly full.
        Unavailable: S3 or Mongo does not answer.
    """
    check_receiver(wanted.webhook, services.settings)
    await _check_room(services, caller, wanted.size)
    services.room.require(wanted.size)
    bucket = wanted.bucket or default_bucket(services.settings.buckets)
    check_bucket(bucket, services.settings.buckets)
    await services.readiness.require()
    upload_id, now = str(uuid4()), services.direct.now()
    filename = clean_filename(wanted.filename)
    content_type, metadata = video_content_type(wanted.content_type), upload_metadata(filename)
    part_size = 0 if wanted.size <= SINGLE_UP_TO else part_size_of(wanted.size)
    s3_upload = None
    if part_size:
        try:
            key = await services.storage.begin_parts(
                bucket, input_object(upload_id), content_type=content_type, metadata=metadata
            )
        except Missing as error:  # somebody has removed the bucket: that is no fault of the client
            raise Unavailable("S3", error) from error
        s3_upload = key.upload
    failpoint("direct.begun", upload_id)
    upload = DirectUpload(
        id=upload_id,
        bucket=bucket,
        size=wanted.size,
        filename=filename,
        s3_upload=s3_upload,
        part_size=part_size,
        owner=caller.id,
        created_at=now,
        expires_at=now + EXPIRES_AFTER,
        options=to_message(wanted),
        tags=tuple(wanted.tags),
        webhook=wanted.webhook,
    )
    await services.direct.begin(upload)
    logger.info("direct upload begun", extra={"video_id": upload_id, "size": upload.size})
    headers = object_headers(content_type, metadata) | {"If-None-Match": "*"}
    return _begun(services, upload, headers)


async def more_parts(services: Services, caller: Caller, upload_id: str, wanted: WantedParts) -> Parts:
    """Return URLs of parts; the upload's time begins anew.

    Raises:
        UnknownUpload: there is none, or it is over.
        Invalid: it has no such part, or no parts.
    """
    upload = await services.direct.get(upload_id, owner=caller.sees)
    if upload is None:
        raise UnknownUpload(upload_id)
    if wanted.first > upload.part_count:
        raise Invalid("first", f"is more than the {upload.part_count} parts that there are")
    if not await services.direct.renew(upload_id):
        raise UnknownUpload(upload_id)
    now = services.direct.now()
    parts = _parts(services, upload, wanted.first, wanted.count)
    return Parts(
        upload_id=upload_id, expires_at=now + EXPIRES_AFTER, urls_expire_at=now + URLS_LAST, parts=parts
    )


async def complete(services: Services, caller: Caller, upload_id: str, sent: list[SentPart] | None) -> str:
    """Make a video of an upload; return its id. Again and again the same, once that was done.

    Raises:
        UnknownUpload: there is none, or it is over.
        NotUploaded: not everything has arrived.
        Invalid: what has arrived is not what was announced. An object of another size is gone then.
        OverQuota: the key has used what it may; this may be tried again until the upload expires.
    """
    upload = await services.direct.get(upload_id, owner=caller.sees)
    if upload is None or not await services.direct.hold(upload):
        video = await services.outbox.get(upload_id, owner=caller.sees)
        if video is None or not video.input_owned:
            raise UnknownUpload(upload_id)
        return video.id
    if await services.outbox.is_known(upload.id):  # somebody died here, or is just about to forget it
        await services.direct.forget(upload.id)
        return upload.id
    try:
        await _accept(services, caller, upload, sent)
    except (NotUploaded, Invalid, OverQuota):
        await services.direct.release(upload.id)
        raise
    failpoint("direct.accepted", upload.id)
    await services.direct.forget(upload.id)
    announce(services, upload.id)
    return upload.id


async def abort(services: Services, caller: Caller, upload_id: str) -> None:
    """Give up an upload and take away what has arrived of it.

    Raises:
        UnknownUpload: there is none, or it is over.
        Conflict: it is being completed.
    """
    upload = await services.direct.get(upload_id, owner=caller.sees)
    if upload is None or await services.outbox.is_known(upload_id):
        raise UnknownUpload(upload_id)
    if not await services.direct.abort(upload_id):
        raise Conflict(upload_id)
    await take_away(upload, direct=services.direct, outbox=services.outbox, storage=services.storage)


async def expire(*, direct: DirectUploads, outbox: VideoOutbox, storage: Storage) -> None:
    """Take away some of the uploads whose time is over.

    Raises:
        Unavailable: S3 or Mongo does not answer; what is left is taken away the next time.
    """
    for upload in await direct.expired(limit=PER_ROUND):
        if await direct.expire(upload.id):
            await take_away(upload, direct=direct, outbox=outbox, storage=storage)


async def take_away(
    upload: DirectUpload, *, direct: DirectUploads, outbox: VideoOutbox, storage: Storage
) -> None:
    """Take away everything of an upload that was given up, unless it has become a video before."""
    if not await outbox.is_known(upload.id):
        if upload.key is not None:
            await storage.abort_parts(upload.key)
        await storage.delete(upload.bucket, upload.object)
        logger.info("direct upload taken away", extra={"video_id": upload.id})
    await direct.forget(upload.id)


def part_size_of(size: int) -> int:
    """Return how large the parts of a file are, in bytes."""
    least = -(-size // MOST_PARTS)
    return max(PART_LEAST, -(-least // PART_STEP) * PART_STEP)


async def _check_room(services: Services, caller: Caller, size: int) -> None:
    limit = await upload_limit(services, caller)
    if size > limit:
        raise refusal_of(services, caller, limit)
    if caller.key is not None:
        pending = await services.direct.pending_of(caller.key.id)
        await services.usage.check_pending(
            caller.key, videos=len(pending), size=size + sum(each.size for each in pending)
        )


async def _accept(
    services: Services, caller: Caller, upload: DirectUpload, sent: list[SentPart] | None
) -> None:
    await _assemble(services, upload, sent)
    failpoint("direct.assembled", upload.id)
    await _check_object(services, upload)
    new = NewVideo(
        video_id=upload.id,
        bucket=upload.bucket,
        object=upload.object,
        size=upload.size,
        input_owned=True,
        owner=upload.owner,
        filename=upload.filename,
        options=upload.options,
        tags=upload.tags,
        webhook=upload.webhook,
    )
    await admit(services, caller if caller.id == upload.owner else Caller(), new)


async def _assemble(services: Services, upload: DirectUpload, sent: list[SentPart] | None) -> None:
    """Make an object of the parts; where that was done before, there are none."""
    if upload.key is None:
        if sent:
            raise Invalid("parts", "are none of this upload: it goes in one request")
        return
    try:
        arrived = await services.storage.parts(upload.key)
        _check_parts(upload, arrived, sent)
        await services.storage.assemble(upload.key, [part.tag for part in arrived])
    except Missing:
        return
    except (Unavailable, NotUploaded):
        # The parts may have been put together, and only the answer lost; or by another call just now: some
        # servers say for a moment that the upload has no parts, and then that there is none.
        if await services.storage.stat(upload.bucket, upload.object) is None:
            raise


def _check_parts(upload: DirectUpload, arrived: list[UploadedPart], sent: list[SentPart] | None) -> None:
    by_number = {part.number: part for part in arrived}
    missing = [number for number in range(1, upload.part_count + 1) if number not in by_number]
    if missing:
        shown = ", ".join(map(str, missing[:SHOWN])) + (", …" if len(missing) > SHOWN else "")
        raise NotUploaded(f"{len(missing)} of {upload.part_count} parts have not arrived: {shown}")
    for part in arrived:
        if part.number > upload.part_count or part.size != upload.size_of(part.number):
            raise Invalid(
                "parts", f"do not have the announced sizes: part {part.number} is {part.size} bytes"
            )
    for each in sent or []:
        known = by_number.get(each.number)
        if known is None or known.tag != each.etag.strip('"'):
            raise Invalid("parts", f"are not those that have arrived: part {each.number} has another etag")


async def _check_object(services: Services, upload: DirectUpload) -> None:
    facts = await services.storage.stat(upload.bucket, upload.object)
    if facts is None:
        raise NotUploaded("The object has not arrived.")
    if facts.size == upload.size and OWNER_KEY in facts.metadata:
        return
    await services.direct.refuse(upload.id)
    await take_away(upload, direct=services.direct, outbox=services.outbox, storage=services.storage)
    raise Invalid("size", f"was announced as {upload.size} bytes, and {facts.size} have arrived")


def _begun(services: Services, upload: DirectUpload, headers: dict[str, str]) -> BegunUpload:
    is_single = upload.key is None
    return BegunUpload(
        upload_id=upload.id,
        video_id=upload.id,
        method="single" if is_single else "multipart",
        bucket=upload.bucket,
        object=upload.object,
        size=upload.size,
        expires_at=upload.expires_at,
        urls_expire_at=upload.created_at + URLS_LAST,
        put=_put(services, upload, headers, upload.created_at) if is_single else None,
        part_size=upload.part_size or None,
        part_count=upload.part_count or None,
        parts=None if is_single else _parts(services, upload, 1, URLS_AT_ONCE),
    )


def _put(services: Services, upload: DirectUpload, headers: dict[str, str], now: datetime) -> Put:
    return Put(
        url=_signed(services, upload, headers | {"Content-Length": str(upload.size)}, {}, now),
        headers=headers,
        size=upload.size,
    )


def _parts(services: Services, upload: DirectUpload, first: int, count: int) -> list[PartPut]:
    now = services.direct.now()
    found = []
    for number in range(first, min(first + count, upload.part_count + 1)):
        size = upload.size_of(number)
        query = {"partNumber": str(number), "uploadId": upload.s3_upload or ""}
        url = _signed(services, upload, {"Content-Length": str(size)}, query, now)
        found.append(PartPut(number=number, url=url, headers={}, size=size))
    return found


def _signed(
    services: Services, upload: DirectUpload, headers: dict[str, str], query: dict[str, str], now: datetime
) -> str:
    path = f"/{upload.bucket}/{upload.object}"
    return services.presigner.sign("PUT", path, headers=headers, query=query, lasts=URLS_LAST, now=now)

"""A video is submitted, once for each idempotency key: a crash in between neither loses nor doubles it.

With a key: take it; keep the video's bytes; charge them; record, under the key, all that the document will
say; write the document; settle the key. Whoever comes again with the key and the same request gets the same
video, and writes its document where a crash has left it out.
"""

from contextlib import suppress
from dataclasses import dataclass

import msgspec

from api.access.keys import Caller
from api.dependencies import Services
from api.intake.admission import NewVideo, accept, admit, announce
from api.intake.drafts import Draft, Submission
from app.clients.main_db.idempotency import Hold, KeyHeld, Recorded
from app.clients.main_db.key_usage import OverQuota
from app.clients.main_db.video_outbox import Video
from app.errors import Conflict, Rejected, RetryLater
from app.failpoints import failpoint


@dataclass(frozen=True)
class Submitted:
    """A video that is recorded, and whether that was done for an earlier request."""

    video: Video
    is_replayed: bool


class KeyReused(Rejected):
    """The idempotency key belongs to another request."""

    def __init__(self) -> None:
        super().__init__("idempotency_key_reused", "This Idempotency-Key was used with another request.")


class VideoDeleted(Rejected):
    """The idempotency key belongs to a video that was deleted."""

    def __init__(self) -> None:
        super().__init__("video_deleted", "The video of this Idempotency-Key was deleted; use another key.")


async def submit(services: Services, caller: Caller, wanted: Submission, *, key: str | None) -> Submitted:
    """Have a video looked at; with a key that has been used, return what was made then.

    Raises:
        KeyHeld: a request with this key is under way.
        KeyReused: the key belongs to another request.
        VideoDeleted: the key belongs to a video that was deleted.
        OverQuota: the API key has used what it may.
        Invalid, Missing and all that uploads raise: what is asked for cannot be had.
    """
    if key is None:
        draft = await wanted.prepare()
        return Submitted(await _admit(services, caller, wanted, draft), is_replayed=False)
    taken = await services.idempotency.take(key, owner=caller.id)
    if isinstance(taken, Recorded):
        if taken.fingerprint != await wanted.fingerprint():
            raise KeyReused
        return Submitted(await _replay(services, taken), is_replayed=True)
    return Submitted(await _submit_first(services, caller, wanted, taken), is_replayed=False)


async def _admit(services: Services, caller: Caller, wanted: Submission, draft: Draft) -> Video:
    try:
        video = await admit(services, caller, draft.new)
    except OverQuota:
        await wanted.give_up(draft)
        raise
    failpoint("upload.accepted", video.id)
    announce(services, video.id)
    return video


async def _submit_first(services: Services, caller: Caller, wanted: Submission, hold: Hold) -> Video:
    keys = services.idempotency
    async with keys.holding(hold):
        draft = await wanted.prepare()
        recorded = Recorded(hold.key, draft.fingerprint, msgspec.to_builtins(draft.new))
        try:
            await services.usage.charge(caller.key, draft.new.video_id, draft.new.size)
            await keys.record(hold, recorded)
        except OverQuota:
            await wanted.give_up(draft)
            raise
        except Conflict as error:  # the lease has ended: we were away for too long
            await wanted.give_up(draft)
            raise KeyHeld(hold.key) from error
    failpoint("upload.recorded", draft.new.video_id)
    return await _write(services, recorded, draft.new)


async def _replay(services: Services, recorded: Recorded) -> Video:
    new = msgspec.convert(recorded.video, NewVideo)
    video = await services.outbox.get(new.video_id)
    if video is not None:
        if not recorded.is_settled:
            await services.idempotency.settle(recorded.key, new.video_id)
        return video
    if recorded.is_settled or await services.outbox.is_known(new.video_id):
        raise VideoDeleted
    if new.input_owned and await services.storage.stat(new.bucket, new.object) is None:
        await services.idempotency.void(recorded)  # a sweep was faster than the client
        raise KeyHeld(recorded.key)
    return await _write(services, recorded, new)


async def _write(services: Services, recorded: Recorded, new: NewVideo) -> Video:
    video = await accept(services, new)
    failpoint("upload.accepted", video.id)
    with suppress(RetryLater):  # whoever comes next settles it
        await services.idempotency.settle(recorded.key, new.video_id)
    announce(services, video.id)
    return video

"""Videos are submitted: sent to Kadr, named where they are stored already, or sent to the storage itself."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Unpack
from uuid import uuid4

import msgspec
from msgspec import Struct

from app.client.calls import get
from app.client.core import JSON, VIDEOS, Core, require_success
from app.client.sources import Body, OnSent, Readable, Source, StoredObject, form_of, open_source
from app.client.steps import Flow, Request
from app.client.videos import Options, Video
from app.errors import KadrError

UPLOADS: Final = "/api/uploads"

WRITTEN_BEFORE: Final = 412
"""Such an object is there: after a try that nobody answered, that try's."""


class _Put(Struct):
    url: str
    size: int
    headers: dict[str, str] = {}
    number: int = 1


class _Begun(Struct):
    upload_id: str
    method: str
    put: _Put | None = None
    part_size: int = 0
    part_count: int = 0
    parts: list[_Put] = []


class _Parts(Struct):
    parts: list[_Put]


class _Completed(Struct):
    event_id: str


def submit(
    core: Core,
    video: Readable | StoredObject,
    *,
    filename: str | None = None,
    bucket: str | None = None,
    tags: Sequence[str] = (),
    webhook: str | None = None,
    idempotency_key: str | None = None,
    on_sent: OnSent | None = None,
    **options: Unpack[Options],
) -> Flow[Video]:
    """Have a video looked at.

    Args:
        video: a path, an open file, bytes, or a `StoredObject`.
        filename: as people call it; else that of the file. A `StoredObject` has its own name.
        bucket: where it is to be kept; None leaves that to Kadr.
        tags: words to find it by.
        webhook: an address that is told what came of it.
        idempotency_key: makes trying again safe: the same key and the same request are the same video, for 7
            days. Without one, this call makes one, and so does not submit twice whatever breaks on the way.
        on_sent: told how many bytes of the file have left.
        options: `conf`, `iou`, `vid_stride`, `classes`, `max_det`, `imgsz`, `preprocess`, `start`, `end`.

    Raises:
        OSError: the file cannot be read.
        Refused: an option is out of its bounds (`fields` names it), or the file is too large.
        Conflict: the idempotency key was used for another request.
        TooBusy: the key has used what it may, or Kadr has too much to do.
    """
    given = {**options, "tags": tuple(tags) or None, "webhook": webhook}
    if isinstance(video, StoredObject):
        facts = {"object": video.object, "bucket": video.bucket or bucket, **given}
        request = _posted(VIDEOS, _without_none(facts))
    else:
        fields = tuple(_fields({**given, "bucket": bucket}))
        kind, form = form_of(open_source(video, name=filename), fields, on_sent)
        request = Request(method="POST", path=VIDEOS, headers={"Content-Type": kind}, body=form)
    key = {"Idempotency-Key": idempotency_key or str(uuid4())}
    request = replace(request, headers={**request.headers, **key})
    return (yield from core.fetch(request, Video))


def upload_directly(
    core: Core,
    video: Readable,
    *,
    filename: str | None = None,
    bucket: str | None = None,
    tags: Sequence[str] = (),
    webhook: str | None = None,
    on_sent: OnSent | None = None,
    **options: Unpack[Options],
) -> Flow[Video]:
    """Send a video to the object storage itself, in parts, and have it looked at.

    For files that are large, or where the API should not be the narrow place: a part that fails is sent
    again, not the file. The storage must be reachable from here.

    Args:
        video: a path, an open file that can be read twice, or bytes.
        filename: as people call it; else that of the file.
        bucket: where it is to be kept; None leaves that to Kadr.
        tags: words to find it by.
        webhook: an address that is told what came of it.
        on_sent: told how many bytes of the file have left.
        options: as for `submit`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it can be read only once, or its size is not known.
        Refused: an option is out of its bounds, or the file is too large, or was changed meanwhile.
    """
    source = open_source(video, name=filename)
    if source.size is None or not source.can_repeat:
        raise ValueError("the size has to be known before: submit() takes what can be read only once")
    facts = {"size": source.size, "filename": source.name, "content_type": source.content_type}
    wanted = {**facts, "bucket": bucket, **options, "tags": tuple(tags) or None, "webhook": webhook}
    begun = yield from core.fetch(_posted(UPLOADS, _without_none(wanted)), _Begun)
    upload = _Upload(core, source, f"{UPLOADS}/{begun.upload_id}", on_sent)
    try:
        yield from upload.send(begun)
        completed = yield from core.fetch(_posted(f"{upload.path}/complete", {}), _Completed)
    except KadrError:
        with suppress(KadrError):  # it is given up by itself after a day
            yield from core.ask(Request(method="DELETE", path=upload.path))
        raise
    return (yield from get(core, completed.event_id))


@dataclass(frozen=True)
class _Upload:
    """A direct upload under way."""

    core: Core
    source: Source
    path: str
    on_sent: OnSent | None

    def send(self, begun: _Begun) -> Flow[None]:
        """Send the bytes."""
        if begun.put is not None:
            yield from self._put(begun.put, start=0)
            return
        parts = begun.parts
        for number in range(1, begun.part_count + 1):
            if not parts:
                more = _posted(f"{self.path}/parts", {"first": number})
                parts = (yield from self.core.fetch(more, _Parts)).parts
            put, *parts = parts
            yield from self._put(put, start=(number - 1) * begun.part_size)

    def _put(self, put: _Put, *, start: int) -> Flow[None]:
        body = Body(self.source.part(start, put.size), on_sent=_shifted(self.on_sent, start))
        request = Request(method="PUT", path=put.url, headers=put.headers, body=body)
        asked = yield from self.core.ask(request)
        if not (asked.is_doubtful and asked.answer.status == WRITTEN_BEFORE):
            require_success(asked.answer)


def _shifted(on_sent: OnSent | None, start: int) -> Callable[[int], object] | None:
    return None if on_sent is None else lambda sent: on_sent(start + sent)


def _posted(path: str, facts: object) -> Request:
    return Request(method="POST", path=path, headers=JSON, body=msgspec.json.encode(facts))


def _without_none(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _fields(values: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    """Yield the fields of a form: what is several is there several times, what has parts is JSON."""
    for name, value in _without_none(values).items():
        if value is False:
            yield name, "off"
        elif isinstance(value, Mapping):
            yield name, msgspec.json.encode(value).decode()
        elif isinstance(value, Iterable) and not isinstance(value, str):
            yield from ((name, str(each)) for each in value)
        else:
            yield name, str(value)

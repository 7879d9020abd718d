"""What a result says of one frame is found in it without reading it all."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from app.clients.s3.storage import Storage
from app.domain.documents import ready_document
from app.domain.messages import Detection, FrameResult
from app.domain.objects import (
    detection_object,
)
from app.errors import Malformed
from app.rendering import findings
from app.rendering.findings import open_findings
from tests.support.examples import MODEL, facts
from tests.support.memory_s3 import MemoryS3

NASTY = '},{"frame":7,"prediction":['
"""A class's name that would be taken for a row if it were not escaped."""


def row(number: int, objects: int = 1) -> FrameResult:
    found = [Detection(class_=NASTY, box=(1, 2, 3, 4), conf=0.5)] * objects
    return FrameResult(number, number / 25, found)


async def document(rows: list[FrameResult]) -> bytes:
    async def some() -> AsyncIterator[list[bytes]]:
        for each in rows:
            yield [msgspec.json.encode(each)]

    pieces = ready_document("a", video=facts(len(rows)), model=MODEL, options=None, rows=some())
    return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize("count", [0, 1, 2, 400])
@pytest.mark.parametrize("objects", [0, 2, 40])
async def test_one_frame_is_found_without_reading_the_others(
    count: int, objects: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "NARROW", 2000)
    monkeypatch.setattr(findings, "PIECE", 700)
    rows = [row(index * 5, objects) for index in range(count)]
    storage = Storage(MemoryS3("videos"), "videos")
    body = await document(rows)
    await storage.put("videos", detection_object("a"), body, content_type="application/json")
    found = await open_findings(storage, "videos", "a")
    assert found is not None
    for number in {0, 4, 5, 993, 1995, 5000} | set(range(count)):
        before = [each for each in rows if each.frame <= number]
        said = await found.at(number)
        assert msgspec.json.encode(said) == msgspec.json.encode(before[-1] if before else None), number


async def test_without_a_result_nothing_is_found() -> None:
    assert await open_findings(Storage(MemoryS3("videos"), "videos"), "videos", "a") is None


@pytest.mark.parametrize("share", [0.0, 0.2, 0.999])
async def test_a_result_that_breaks_off_is_none(share: float) -> None:
    storage = Storage(MemoryS3("videos"), "videos")
    body = await document([row(0), row(5)])
    cut = body[: int(len(body) * share)]
    await storage.put("videos", detection_object("a"), cut, content_type="application/json")
    found = await open_findings(storage, "videos", "a")
    assert found is not None
    with pytest.raises(Malformed):
        await found.at(5)

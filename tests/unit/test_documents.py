"""A result is one JSON document, however many pieces it is put together from."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from app.domain.documents import failed_document, ready_document
from app.domain.failures import SENTENCES, failure
from app.domain.objects import (
    deleted_object,
    detection_object,
    failed_object,
    input_object,
)
from app.domain.options import Options, listed
from tests.support.examples import MODEL, facts


async def rows(*pieces: list[bytes]) -> AsyncIterator[list[bytes]]:
    for piece in pieces:
        yield piece


async def body(*pieces: list[bytes]) -> bytes:
    chosen = listed(Options(conf=0.4))
    document = ready_document("a", video=facts(2), model=MODEL, options=chosen, rows=rows(*pieces))
    return b"".join([piece async for piece in document])


@pytest.mark.parametrize("pieces", [[[b'{"frame":0}', b'{"frame":5}']], [[b'{"frame":0}'], [b'{"frame":5}']]])
async def test_the_pieces_make_no_difference(pieces: list[list[bytes]]) -> None:
    document = msgspec.json.decode(await body(*pieces))
    assert document["prediction"] == [{"frame": 0}, {"frame": 5}]
    assert list(document) == ["status", "event_id", "video", "model", "options", "prediction"]
    assert document["status"] == "ready"
    assert document["options"] == listed(Options(conf=0.4))


async def test_what_is_not_known_of_the_options_is_not_made_up() -> None:
    document = ready_document("a", video=facts(2), model=MODEL, options=None, rows=rows())
    body = msgspec.json.decode(b"".join([piece async for piece in document]))
    assert list(body) == ["status", "event_id", "video", "model", "prediction"]


async def test_a_result_without_frames_is_json_too() -> None:
    assert msgspec.json.decode(await body())["prediction"] == []


def test_a_failure_is_a_code_and_a_sentence() -> None:
    document = msgspec.json.decode(failed_document("a", failure("no_frames")))
    assert document == {
        "status": "failed",
        "event_id": "a",
        "error": {"code": "no_frames", "message": SENTENCES["no_frames"]},
    }


def test_a_detail_follows_the_sentence() -> None:
    assert failure("rejected", "(it is no JSON)").message == "The request could not be read. (it is no JSON)"


def test_a_code_without_a_sentence_is_our_mistake() -> None:
    with pytest.raises(KeyError):
        failure("bad_luck")


def test_objects_are_named_after_their_video() -> None:
    assert [name("a") for name in (input_object, detection_object, failed_object, deleted_object)] == [
        "input/a.mp4",
        "detection/a.json",
        "failed/a.json",
        "deleted/a",
    ]

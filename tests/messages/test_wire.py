"""What v0.1 has written is read for ever, and what is written today is read by v0.1's rules."""

from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import pytest

from app.clients.main_db.video_records import to_claimed, to_video
from app.domain.documents import failed_document, ready_document
from app.domain.messages import FrameResult, Message, ModelFacts, VideoFacts, decode, encode
from app.domain.options import listed
from app.streaming.durable_table import on_behalf_of
from app.topics import STREAMS, VIDEO_RESULTS
from app.worker import Worker
from tables.videos import Head, Videos
from tests.messages.recorded import FAILURE, FOLDER, KEPT, MESSAGES, MODEL, OPTIONS, VIDEO, VIDEO_ID, read
from tests.support.streams import event
from tests.support.workers import MemoryWorker

CONTRACTS = {contract.name: contract for contract in STREAMS}


def test_every_topic_has_its_example() -> None:
    assert MESSAGES.keys() == CONTRACTS.keys()


@pytest.mark.parametrize("topic", MESSAGES)
def test_a_recorded_message_is_read(topic: str) -> None:
    assert decode(read(topic), CONTRACTS[topic].message) == MESSAGES[topic]()


@pytest.mark.parametrize("topic", MESSAGES)
def test_what_is_written_is_what_is_read(topic: str) -> None:
    message: Message = MESSAGES[topic]()
    assert decode(encode(message), type(message)) == message


@pytest.mark.parametrize("topic", MESSAGES)
def test_an_old_reader_finds_every_field_that_it_knows(topic: str) -> None:
    now, then = msgspec.json.decode(encode(MESSAGES[topic]())), msgspec.json.decode(read(topic))
    assert _missing(then, now) == []


@pytest.mark.parametrize("topic", MESSAGES)
def test_fields_that_are_not_known_are_ignored(topic: str) -> None:
    newer = _with_unknown_fields(msgspec.json.decode(read(topic)))
    assert decode(msgspec.json.encode(newer), CONTRACTS[topic].message) == MESSAGES[topic]()


@pytest.mark.parametrize("topic", MESSAGES)
def test_messages_name_their_video(topic: str) -> None:
    assert MESSAGES[topic]().video_id == VIDEO_ID


@pytest.mark.parametrize("name", KEPT)
def test_a_recorded_value_is_read(name: str) -> None:
    expected = KEPT[name]()
    assert msgspec.json.decode(read(name), type=type(expected)) == expected
    newer = _with_unknown_fields(msgspec.json.decode(read(name)))
    assert msgspec.json.decode(msgspec.json.encode(newer), type=type(expected)) == expected


def test_recorded_bits_are_read() -> None:
    videos = Videos(cast("Worker[Any]", MemoryWorker()))
    with on_behalf_of(event(VIDEO_RESULTS, b"")):
        videos.table[f"{VIDEO_ID}/000000".encode()] = (FOLDER / "table_videos_bits.msgpack").read_bytes()
    assert list(videos.present(VIDEO_ID, Head(attempt=2, chunks=1))) == [0, 1, 2, 8]
    assert list(videos.present(VIDEO_ID, Head(attempt=3, chunks=1))) == [], "of another attempt"


async def test_a_recorded_result_has_the_parts_of_todays() -> None:
    rows = [encode(frame) for frame in _detected_frames()]

    async def pieces() -> Any:  # noqa: ANN401  # an iterator
        yield rows

    document = ready_document(VIDEO_ID, video=VIDEO, model=MODEL, options=listed(OPTIONS), rows=pieces())
    today = msgspec.json.decode(b"".join([piece async for piece in document]))
    recorded = msgspec.json.decode(read("detection"))
    assert _missing(recorded, today) == []
    assert msgspec.convert(recorded["video"], VideoFacts) == VIDEO
    assert msgspec.convert(recorded["model"], ModelFacts) == MODEL


def test_a_recorded_failure_has_the_parts_of_todays() -> None:
    today = msgspec.json.decode(failed_document(VIDEO_ID, FAILURE))
    assert _missing(msgspec.json.decode(read("failed")), today) == []


def test_a_recorded_outbox_document_is_read() -> None:
    video = to_video(_with_times(msgspec.json.decode(read("outbox"))))
    assert (video.id, video.status, video.outcome, video.error) == (VIDEO_ID, "sent", "failed", FAILURE)
    assert (video.attempt, video.options, video.input_owned) == (2, OPTIONS, True)


def test_a_recorded_command_is_read() -> None:
    document = _with_times(msgspec.json.decode(read("commands")))
    asked = to_claimed(document, datetime.now(UTC), is_command=True).asked
    assert (asked.video_id, asked.kind, asked.attempt, asked.bucket) == (VIDEO_ID, "delete", 2, "videos")


def _detected_frames() -> list[FrameResult]:
    return cast("Any", MESSAGES["inference_results"]()).frames  # type: ignore[no-any-return]  # a list of frames


def _missing(old: Any, new: Any, path: str = "") -> list[str]:  # noqa: ANN401  # JSON
    """The fields of `old` that `new` lacks or says differently."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [found for key in old for found in _missing(old[key], new.get(key), f"{path}.{key}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [found for index in range(len(old)) for found in _missing(old[index], new[index], path)]
    return [] if old == new else [path]


def _with_unknown_fields(value: Any) -> Any:  # noqa: ANN401  # JSON
    if isinstance(value, dict):
        return {
            **{key: _with_unknown_fields(each) for key, each in value.items()},
            "from_the_future": {"a": [1]},
        }
    if isinstance(value, list):
        return [_with_unknown_fields(each) for each in value]
    return value


def _with_times(document: dict[str, Any]) -> dict[str, Any]:
    """As Mongo gives it: times are no texts."""
    return {
        key: datetime.fromisoformat(each) if key.endswith("_at") else each for key, each in document.items()
    }

"""Messages and documents with every option: read for ever, and no riddle to a v0.1 that runs beside."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta, Struct
from msgspec.structs import replace

from app.clients.main_db.video_records import to_claimed, to_video
from app.domain.documents import ready_document
from app.domain.messages import (
    FrameSampled,
    Message,
    Options,
    Preprocess,
    SplitEnded,
    VideoAsked,
    VideoFacts,
    decode,
    encode,
)
from app.domain.options import listed
from app.domain.records import Record
from tables.videos import Head
from tests.messages import recorded

FOLDER = Path(__file__).parents[1] / "data" / "wire" / "v0.2"

OPTIONS = Options(
    conf=0.3,
    iou=0.5,
    vid_stride=2,
    max_det=50,
    classes=("cat", 3),
    imgsz=320,
    preprocess=False,
    start=1.5,
    end=9.0,
)
PREPARED = replace(OPTIONS, preprocess=Preprocess(blur=5, alpha=0.8, beta=-10.0))
VIDEO = VideoFacts(512, 288, 29.97, 8.975642, 269, 112, first_frame=46)

MESSAGES: dict[str, Message] = {
    "outbox_events": replace(recorded.asked(), options=OPTIONS),
    "inference_tasks": replace(recorded.sampled(), options=OPTIONS),
    "video_splits": replace(recorded.split_ended(), options=PREPARED, video=VIDEO),
}


class OldOptions(Struct):
    """The options as v0.1 reads them."""

    conf: Annotated[float, Meta(ge=0, le=1)] = 0.25
    iou: Annotated[float, Meta(ge=0, le=1)] = 0.45
    vid_stride: Annotated[int, Meta(ge=1)] = 5
    max_det: Annotated[int, Meta(ge=1, le=3000)] = 300


def read(name: str) -> bytes:
    return (FOLDER / f"{name}.json").read_bytes()


@pytest.mark.parametrize("topic", MESSAGES)
def test_a_recorded_message_is_read_and_written_again_as_it_was(topic: str) -> None:
    message = MESSAGES[topic]
    assert decode(read(topic), type(message)) == message
    assert msgspec.json.decode(encode(message)) == msgspec.json.decode(read(topic))


@pytest.mark.parametrize("topic", MESSAGES)
def test_a_v0_1_that_runs_beside_reads_the_options_that_it_knows(topic: str) -> None:
    options = msgspec.json.decode(read(topic))["options"]
    assert msgspec.convert(options, OldOptions) == OldOptions(0.3, 0.5, 2, 50)


@pytest.mark.parametrize("kind", [VideoAsked, FrameSampled, SplitEnded])
def test_a_message_of_v0_1_asks_for_what_it_always_did(
    kind: type[VideoAsked | FrameSampled | SplitEnded],
) -> None:
    topic = {VideoAsked: "outbox_events", FrameSampled: "inference_tasks", SplitEnded: "video_splits"}[kind]
    options: Options = decode(recorded.read(topic), kind).options
    assert listed(options) == listed(Options()) | {"conf": 0.3, "iou": 0.5, "vid_stride": 2, "max_det": 50}


def test_a_recorded_head_and_record_are_read() -> None:
    head = replace(recorded.head(), options=OPTIONS, video=VIDEO, total=112)
    assert msgspec.json.decode(read("table_videos_head"), type=Head) == head
    assert (head.first, head.chosen) == (23, OPTIONS)
    record = replace(
        recorded.record(),
        options=OPTIONS,
        video=VIDEO,
        total_frames=112,
        split_frames=112,
        received_frames=100,
    )
    assert msgspec.json.decode(read("runner_predictions"), type=Record) == record


def test_a_head_of_v0_1_begins_with_frame_0_and_knows_its_stride() -> None:
    head = msgspec.json.decode(recorded.read("table_videos_head"), type=Head)
    assert (head.first, head.chosen) == (0, Options(vid_stride=2))


def test_a_recorded_outbox_document_is_read_and_published() -> None:
    document: dict[str, Any] = msgspec.json.decode(read("outbox"))
    times = {name: datetime.fromisoformat(at) for name, at in document.items() if name.endswith("_at")}
    assert to_video(document | times).options == OPTIONS
    claimed = to_claimed(document | times, times["created_at"], is_command=False)
    assert claimed.asked.options == OPTIONS


async def test_a_recorded_result_has_the_parts_of_todays() -> None:
    frames = msgspec.json.decode(read("detection"))["prediction"]

    async def pieces() -> Any:  # noqa: ANN401  # an iterator
        yield [msgspec.json.encode(frame) for frame in frames]

    document = ready_document(
        recorded.VIDEO_ID, video=VIDEO, model=recorded.MODEL, options=listed(OPTIONS), rows=pieces()
    )
    today = b"".join([piece async for piece in document])
    assert today == read("detection").rstrip(), "byte for byte: it is the body that a client gets"

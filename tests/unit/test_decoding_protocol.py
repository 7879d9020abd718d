"""What passes between the parent and the child that decodes."""

import io
import socket
from pathlib import Path

import pytest
from msgspec.structs import replace

from app.decoding.process import create_limits
from app.decoding.protocol import (
    HEADER,
    Job,
    Kind,
    Order,
    Record,
    frame_key,
    read_header,
    read_limits,
    read_order,
    read_outcome,
    read_protections,
    receive_video,
    send_files,
    write_limits,
    write_order,
    write_record,
)
from app.domain.messages import Failure, Options, VideoFacts, encode
from app.errors import Malformed
from app.settings import Settings

LIMITS = replace(create_limits(Settings()), pixels=100, frames=10, seconds=1.5)


def test_what_is_ordered_is_what_is_read() -> None:
    job = Job("video-1", 2, "/tmp/a b\n\u00e9.mp4", Options(vid_stride=3), start_index=7, only=[3, 9])  # noqa: S108  (a name, never opened)
    order = Order(job, 640, LIMITS)
    line = write_order(order)
    assert line.count(b"\n") == 1
    assert read_order(line) == order


def test_what_is_recorded_is_what_is_read() -> None:
    pipe = io.BytesIO()
    write_record(pipe, Kind.FRAME, 12, key=b"key", value=b"value")
    data = pipe.getvalue()
    assert read_header(data[: HEADER.size]) == (Kind.FRAME, 12, 3, 5)
    assert data[HEADER.size :] == b"keyvalue"


@pytest.mark.parametrize("header", [(99, 0, 0, 0), (1, 0, 1 << 31, 0), (1, 0, 0, 1 << 31)])
def test_a_header_that_no_child_writes_is_malformed(header: tuple[int, int, int, int]) -> None:
    with pytest.raises(Malformed):
        read_header(HEADER.pack(*header))


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (Kind.FACTS, VideoFacts(160, 96, 25.0, 1.28, 32, 7)),
        (Kind.FAILED, Failure("no_frames", "Not one.")),
    ],
)
def test_an_outcome_is_read_as_what_it_is(kind: Kind, outcome: VideoFacts | Failure) -> None:
    assert read_outcome(Record(kind, 0, b"", encode(outcome))) == outcome


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b'{"code": 1}'])
def test_an_outcome_that_says_nothing_is_malformed(value: bytes) -> None:
    with pytest.raises(Malformed):
        read_outcome(Record(Kind.FAILED, 0, b"", value))


def test_a_frames_key_names_video_attempt_and_frame() -> None:
    assert frame_key("video-1", 2, 125) == b"video-1/2/125"


def test_limits_pass_as_an_argument() -> None:
    assert read_limits(write_limits(LIMITS)) == LIMITS


def test_a_video_passes_as_an_open_file(tmp_path: Path) -> None:
    (tmp_path / "video").write_bytes(b"pictures")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with (tmp_path / "video").open("rb") as video:
            send_files(ours, video.fileno())
        with receive_video(theirs) as received:
            assert received.read() == b"pictures"


def test_what_a_child_is_protected_by_is_read() -> None:
    assert read_protections(Record(Kind.READY, 0, b"", b'{"seccomp":""}')) == {"seccomp": ""}


@pytest.mark.parametrize("value", [b"", b"[]", b'{"seccomp":1}'])
def test_protections_that_say_nothing_are_malformed(value: bytes) -> None:
    with pytest.raises(Malformed):
        read_protections(Record(Kind.READY, 0, b"", value))

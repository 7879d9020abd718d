"""A message is read as it was written, and what is no message is refused with its reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.messages import (
    FrameResult,
    FrameSampled,
    FramesDetected,
    FramesMissing,
    Message,
    SplitEnded,
    VideoAsked,
    VideoEnded,
    decode,
    encode,
)
from app.errors import Malformed

MESSAGES: list[type[Message]] = [
    VideoAsked,
    FrameSampled,
    FramesDetected,
    SplitEnded,
    FramesMissing,
    VideoEnded,
]


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("data", [None, b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"video_id":"a"', b"{}"])
def test_what_is_no_message_is_malformed(kind: type[Message], data: bytes | None) -> None:
    with pytest.raises(Malformed, match=kind.__name__):
        decode(data, kind)


@given(st.sampled_from(MESSAGES), st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_bytes_raise_anything_else(kind: type[Message], data: bytes) -> None:
    with pytest.raises(Malformed):
        decode(data, kind)


@pytest.mark.parametrize(
    "data",
    [
        b'{"video_id":"","kind":"complete","attempt":1}',
        b'{"video_id":"a/b","kind":"complete","attempt":1}',
        b'{"video_id":"a b","kind":"complete","attempt":1}',
        b'{"video_id":"a","kind":"finished","attempt":1}',
        b'{"video_id":"a","kind":"complete","attempt":0}',
        b'{"video_id":"a","kind":"complete","attempt":"1"}',
        b'{"video_id":"a","kind":"complete"}',
    ],
)
def test_a_field_out_of_its_bounds_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode(data, VideoEnded)


@pytest.mark.parametrize("frame", [-1, 100_000_000])
def test_a_frame_number_that_no_row_could_hold_is_malformed(frame: int) -> None:
    with pytest.raises(Malformed):
        decode(b'{"video_id":"a","attempt":1,"frames":[%d]}' % frame, FramesMissing)


def test_options_are_bounded() -> None:
    for options in ('conf":1.1', 'iou":-0.1', 'vid_stride":0', 'max_det":0'):
        with pytest.raises(Malformed):
            decode(b'{"video_id":"a","options":{"%s}}' % options.encode(), VideoAsked)


def test_an_error_is_absent_rather_than_null_in_a_row() -> None:
    assert encode(FrameResult(5, 0.2)) == b'{"frame":5,"time":0.2,"objects":[]}'


def test_class_is_called_class_on_the_wire() -> None:
    raw = b'{"video_id":"a","attempt":1,"model":{"name":"m","sha256":"","backend":"b"},'
    raw += b'"frames":[{"frame":0,"objects":[{"class":"cat","box":[1,2,3,4],"conf":0.5}]}]}'
    found = decode(raw, FramesDetected)
    assert found.frames[0].objects[0].class_ == "cat"
    assert b'"class":"cat"' in encode(found)

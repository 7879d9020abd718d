"""Which form a client gets, and how each is written where its reader cannot tell."""

import io

import pytest

from app.domain.messages import Detection, FrameResult
from app.domain.results import Document
from app.exports.captions import describe, write_time, write_vtt
from app.exports.formats import choose_format, disposition
from app.exports.rows import write_csv, write_json, write_jsonl
from app.exports.selection import Selection
from tests.support.made_results import frames_of, result_of, undecodable

EVERYTHING = Selection()


async def document(frames: list[FrameResult]) -> Document:
    return Document(io.BytesIO(await result_of(frames)))


def seen(index: int, *names: str) -> FrameResult:
    return FrameResult(index * 5, index * 0.2, [Detection(name, (0, 0, 10, 10), 0.5) for name in names])


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, "json"),
        ("", "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("text/csv", "csv"),
        ("text/html, text/csv;q=0.5", "csv"),
        ("text/vtt;q=0.5, application/x-ndjson", "jsonl"),
        ("application/vnd.apache.parquet, */*;q=0.1", "parquet"),
        ("text/html", None),
        ("text/csv;q=0", None),
        ("text/csv;q=x, , ;", None),
    ],
)
def test_a_client_gets_what_it_likes_best(accept: str | None, wanted: str | None) -> None:
    assert choose_format(accept) == wanted


def test_a_file_is_called_like_the_video() -> None:
    assert disposition("street.cam.mp4", "id", "csv") == 'attachment; filename="street.cam.csv"'
    assert disposition(None, "id", "yolo") == 'attachment; filename="id.yolo.zip"'
    assert "filename*=UTF-8''%D0%BA.vtt" in disposition("к.mp4", "id", "vtt")
    assert disposition('a"\r\nb.mp4', "id", "mot").count("\n") == 0


async def test_json_of_everything_is_the_result_itself() -> None:
    frames, out = [*frames_of(30), undecodable(30)], io.BytesIO()
    write_json(await document(frames), EVERYTHING, out)
    assert out.getvalue() == await result_of(frames)


async def test_frames_without_what_is_asked_for_are_left_out_of_lists() -> None:
    frames, out = [seen(0, "car"), seen(1, "cat", "car"), undecodable(2), seen(3)], io.BytesIO()
    write_jsonl(await document(frames), Selection(classes=["cat"]), out)
    assert (
        out.getvalue() == b'{"frame":5,"time":0.2,"objects":[{"class":"cat","box":[0,0,10,10],"conf":0.5}]}\n'
    )


async def test_a_span_of_time_has_its_start_and_not_its_end() -> None:
    out = io.BytesIO()
    frames = [*(seen(index, "car") for index in range(6)), undecodable(6)]
    write_csv(await document(frames), Selection(start=0.2, end=0.8), out)
    assert [line.split(b",")[0] for line in out.getvalue().splitlines()] == [b"frame", b"5", b"10", b"15"]


async def test_csv_is_as_rfc_4180_has_it() -> None:
    out = io.BytesIO()
    write_csv(await document([seen(0, 'a "b", c')]), EVERYTHING, out)
    assert out.getvalue() == (
        b'frame,time,class,conf,left,top,right,bottom\r\n0,0.0,"a ""b"", c",0.5,0,0,10,10\r\n'
    )


async def test_a_cue_lasts_as_long_as_the_same_is_to_be_seen() -> None:
    frames = [seen(0, "car"), seen(1, "car"), seen(2), seen(3, "<b>", "car", "car"), undecodable(4)]
    out = io.BytesIO()
    write_vtt(await document(frames), EVERYTHING, out)
    assert out.getvalue().decode() == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:00.400\ncar\n\n"
        "00:00:00.600 --> 00:00:00.800\n&lt;b&gt;, car (2)\n\n"
    )


def test_times_have_hours_and_thousandths() -> None:
    assert [write_time(each) for each in (0, 59.9996, 3661.5, 360_000)] == [
        "00:00:00.000",
        "00:01:00.000",
        "01:01:01.500",
        "100:00:00.000",
    ]
    assert describe([]) == ""

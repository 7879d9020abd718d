"""Videos are submitted by the client, without any I/O: what is sent, once, however often it is tried."""

import io
import os
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path

import msgspec
import pytest

from app.client import Conflict, Refused, StoredObject, TooBusy, Unreachable
from app.client.sources import Body, open_source
from app.client.steps import Answer
from app.client.submissions import submit, upload_directly
from tests.support.flows import Script, answer, problem, video, whole_body

LOST = Unreachable("Kadr", "the line broke")


def form_of(script: Script, number: int = 0) -> dict[str, list[str]]:
    """The fields of the form that was sent, and the file's content and name."""
    request = script.requests[number]
    assert isinstance(request.body, Body)
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + whole_body(request.body.pieces()))
    found: dict[str, list[str]] = {}
    for part in message.iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        found.setdefault(name, []).append(part.get_payload(decode=True).decode())  # type: ignore[union-attr]
        if filename := part.get_filename():
            found["filename"] = [filename]
    return found


def test_a_file_goes_with_its_name_and_options_before_it(tmp_path: Path) -> None:
    path = tmp_path / "straße.mp4"
    path.write_bytes(b"frames")
    script = Script([answer(202, video())])
    script.run(
        submit(
            script.core,
            path,
            bucket="archive",
            tags=["a", "b"],
            conf=0.4,
            classes=["car", 7],
            preprocess={"blur": 0},
        )
    )
    assert form_of(script) == {
        "conf": ["0.4"],
        "classes": ["car", "7"],
        "preprocess": ['{"blur":0}'],
        "tags": ["a", "b"],
        "bucket": ["archive"],
        "file": ["frames"],
        "filename": ["straße.mp4"],
    }


def test_what_is_not_chosen_is_not_sent_and_no_preprocessing_is_off() -> None:
    script = Script([answer(202, video())])
    script.run(submit(script.core, b"frames", preprocess=False))
    assert form_of(script) == {"preprocess": ["off"], "file": ["frames"], "filename": ["video"]}


@pytest.mark.parametrize(
    "case",
    [
        ('a"b.mp4', 'a"b.mp4'),
        ("a\r\nX: y.mp4", "a\N{REPLACEMENT CHARACTER}X: y.mp4"),
        ("../../etc/passwd", "passwd"),
        ("", "video"),
    ],
)
def test_no_name_breaks_the_form(case: tuple[str, str]) -> None:
    script = Script([answer(202, video())])
    script.run(submit(script.core, b"frames", filename=case[0]))
    assert form_of(script) == {"file": ["frames"], "filename": [case[1]]}


def test_the_announced_size_is_the_size(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x" * 700_001)
    script = Script([answer(202, video())])
    script.run(submit(script.core, tmp_path / "a.mp4", tags=["ä"]))
    body = script.requests[0].body
    assert isinstance(body, Body)
    assert body.size == len(whole_body(body.pieces())) == len(whole_body(body.pieces()))


def test_a_stored_object_is_named_and_nothing_is_sent() -> None:
    script = Script([answer(202, video())])
    script.run(submit(script.core, StoredObject("archive/a.mp4", "videos"), vid_stride=2, tags=["a"]))
    assert script.requests[0].body == (
        b'{"object":"archive/a.mp4","bucket":"videos","vid_stride":2,"tags":["a"]}'
    )


def test_all_tries_of_one_call_have_one_key_and_two_calls_have_two() -> None:
    script = Script([LOST, problem(503, "busy"), answer(202, video()), answer(202, video())])
    script.run(submit(script.core, b"frames"))
    script.run(submit(script.core, b"frames"))
    keys = [request.headers["Idempotency-Key"] for request in script.requests]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert len({request.headers["Content-Type"] for request in script.requests[:3]}) == 1


def test_a_try_that_is_still_at_work_is_asked_again() -> None:
    under_way = problem(409, "idempotency_in_progress", retry_after=2)
    script = Script([LOST, under_way, answer(202, video())])
    assert script.run(submit(script.core, b"frames")).id == "v"
    script = Script([problem(409, "idempotency_key_reused")])
    with pytest.raises(Conflict):
        script.run(submit(script.core, b"frames", idempotency_key="k"))


def test_what_can_be_read_only_once_is_sent_only_once() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"frames")
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        script = Script([problem(503, "busy")])
        with pytest.raises(TooBusy):
            script.run(submit(script.core, pipe))
        assert form_of(script)["file"] == ["frames"]
        body = script.requests[0].body
        assert isinstance(body, Body)
        assert body.size is None


def test_an_open_file_is_read_from_where_it_is_each_time() -> None:
    file = io.BytesIO(b"head frames")
    file.seek(5)
    body = Body(open_source(file))
    assert [whole_body(body.pieces()), whole_body(body.pieces())] == [b"frames", b"frames"]


def test_who_asks_is_told_the_bytes_of_the_file_alone() -> None:
    told: list[int] = []
    body = Body(open_source(b"x" * 100), head=b"h" * 30, tail=b"t" * 20, on_sent=told.append)
    for sent in (30, 80, 130, 150):
        body.tell(sent)
    assert told == [0, 50, 100, 100]


def begun(**more: object) -> Answer:
    return answer(201, {"upload_id": "u", "video_id": "u", **more})


def put(number: int, size: int) -> dict[str, object]:
    return {"url": f"http://s3/{number}", "size": size, "headers": {"x": "y"}, "number": number}


def test_a_small_file_goes_to_the_storage_in_one_piece() -> None:
    script = Script(
        [
            begun(method="single", put=put(1, 6)),
            answer(),
            answer(200, {"event_id": "u"}),
            answer(200, video()),
        ]
    )
    script.run(upload_directly(script.core, b"frames", filename="a.mp4", conf=0.4, tags=["a"]))
    assert isinstance(script.requests[0].body, bytes)
    assert msgspec.json.decode(script.requests[0].body) == {
        "size": 6,
        "filename": "a.mp4",
        "content_type": "video/mp4",
        "conf": 0.4,
        "tags": ["a"],
    }
    assert script.asked == [
        "POST /api/uploads",
        "PUT http://s3/1",
        "POST /api/uploads/u/complete",
        "GET /api/v1/videos/u",
    ]
    assert script.requests[1].is_foreign
    assert script.requests[1].headers == {"x": "y"}


def test_a_large_file_goes_in_parts_and_a_part_that_fails_goes_again() -> None:
    parts = {"method": "multipart", "part_size": 4, "part_count": 3, "parts": [put(1, 4), put(2, 4)]}
    sent: list[int] = []
    script = Script(
        [
            begun(**parts),
            answer(),
            LOST,
            answer(),
            answer(200, {"parts": [put(3, 2)]}),
            answer(),
            answer(200, {"event_id": "u"}),
            answer(200, video()),
        ]
    )
    script.run(upload_directly(script.core, b"0123456789", on_sent=sent.append))
    bodies = [each.body for each in script.requests if each.method == "PUT"]
    assert [whole_body(each.pieces()) for each in bodies if isinstance(each, Body)] == [
        b"0123",
        b"4567",
        b"4567",
        b"89",
    ]
    (*_, last) = [each for each in bodies if isinstance(each, Body)]
    last.tell(2)
    assert sent == [10]


def test_an_object_that_a_lost_try_has_written_is_written() -> None:
    script = Script(
        [
            begun(method="single", put=put(1, 6)),
            LOST,
            answer(412),
            answer(200, {"event_id": "u"}),
            answer(200, video()),
        ]
    )
    assert script.run(upload_directly(script.core, b"frames")).id == "v"


def test_an_upload_that_fails_is_given_up() -> None:
    script = Script([begun(method="single", put=put(1, 6)), answer(403), answer(204)])
    with pytest.raises(Refused):
        script.run(upload_directly(script.core, b"frames"))
    assert script.asked[-1] == "DELETE /api/uploads/u"

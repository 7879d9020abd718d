"""Uploading a video: what is taken, what is refused, and that nothing is left of what is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import pytest

from tests.api.conftest import Door

CLIP = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 100
TYPE = {"content-type": "multipart/form-data; boundary=bb"}


def part(name: str, data: bytes, *, filename: str | None = None) -> bytes:
    suffix = f'; filename="{filename}"' if filename is not None else ""
    head = f'--bb\r\nContent-Disposition: form-data; name="{name}"{suffix}\r\n\r\n'
    return head.encode() + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--bb--\r\n"


async def post(door: Door, body: bytes) -> Any:  # noqa: ANN401  # JSON
    answer = await door.client.post("/api/upload_video", content=body, headers=TYPE)
    return answer.status_code, answer.json()


def set_settings(door: Door, monkeypatch: pytest.MonkeyPatch, **changed: object) -> None:
    services = replace(door.services, settings=door.services.settings.model_copy(update=changed))
    monkeypatch.setattr(door.api.state, "services", services)


def is_nothing_left(door: Door) -> bool:
    return not (
        any(door.s3.buckets.values()) or door.s3.uploads or door.videos.documents or door.waker.knocks
    )


async def test_an_upload_is_in_s3_and_in_the_outbox_when_it_is_answered(door: Door) -> None:
    files = {"file": ("cats.mp4", CLIP, "video/mp4")}
    answer = await door.client.post("/api/upload_video", files=files, data={"bucket": "videos"})
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == ["status", "event_id"]
    assert body["status"] == "ok"
    video_id = body["event_id"]
    assert UUID(video_id).version == 4
    assert door.s3.objects("videos") == {f"input/{video_id}.mp4": CLIP}
    document = door.videos.documents[video_id]
    assert document["payload"] == {
        "bucket": "videos",
        "object": f"input/{video_id}.mp4",
        "media_type": "video",
    }
    assert (document["status"], document["input_owned"], document["filename"]) == ("new", True, "cats.mp4")
    assert door.waker.knocks == 1


async def test_without_a_bucket_it_is_videos(door: Door) -> None:
    assert (await post(door, form(part("file", CLIP))))[0] == 200
    assert len(door.s3.objects("videos")) == 1


async def test_an_upload_is_marked_as_ours_with_its_name(door: Door) -> None:
    name = "Кот и пёс.mp4"
    status, body = await post(door, form(part("file", CLIP, filename=name)))
    assert status == 200
    facts = await door.services.storage.stat("videos", f"input/{body['event_id']}.mp4")
    assert facts is not None
    assert facts.metadata["kadr-upload"] == "1"
    assert facts.metadata["filename"].isascii()
    assert unquote(facts.metadata["filename"]) == name
    assert door.videos.documents[body["event_id"]]["filename"] == name


@pytest.mark.parametrize("is_before", [True, False])
async def test_the_bucket_may_stand_before_or_after_the_file(door: Door, *, is_before: bool) -> None:
    parts = [part("bucket", b"archive"), part("other", b"x"), part("file", CLIP)]
    status, body = await post(door, form(*(parts if is_before else reversed(parts))))
    assert status == 200
    assert door.s3.objects("videos") == {}
    assert door.s3.objects("archive") == {f"input/{body['event_id']}.mp4": CLIP}
    assert door.videos.documents[body["event_id"]]["payload"]["bucket"] == "archive"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (form(), "file"),
        (form(part("bucket", b"videos")), "file"),
        (form(part("file", b"")), "file"),
        (form(part("file", CLIP), part("file", CLIP)), "file"),
        (form(part("bucket", b"secret"), part("file", CLIP)), "bucket"),
        (form(part("file", CLIP), part("bucket", b"secret")), "bucket"),
        (form(part("bucket", b"")), "bucket"),
        (form(*[part("bucket", b"videos")] * 2, part("file", CLIP)), "bucket"),
        (form(part("bucket", b"videos"), part("file", CLIP), part("bucket", b"archive")), "bucket"),
        (form(part("bucket", bytes(2000)), part("file", CLIP)), "body"),
        (form(*[part("x", b"")] * 21), "body"),
        (b"", "body"),
        (b"no form at all", "body"),
        (part("file", CLIP), "body"),
        (part("file", CLIP)[:-500], "body"),
        (part("file", CLIP) + b"--b", "body"),
    ],
)
async def test_what_is_no_upload_is_refused_and_leaves_nothing(door: Door, body: bytes, field: str) -> None:
    status, problem = await post(door, body)
    assert (status, problem["code"], problem["errors"][0]["field"]) == (422, "invalid", field)
    assert is_nothing_left(door)


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", "", "multipart/mixed"])
async def test_what_does_not_announce_a_form_is_refused(door: Door, content_type: str) -> None:
    headers = {"content-type": content_type}
    answer = await door.client.post("/api/upload_video", content=form(part("file", CLIP)), headers=headers)
    assert answer.status_code == 422
    assert is_nothing_left(door)


async def test_a_file_over_the_limit_is_refused_and_leaves_nothing(door: Door) -> None:
    limit = door.services.settings.max_upload_bytes

    async def unannounced() -> AsyncIterator[bytes]:
        yield form(part("file", bytes(limit + 1)))

    for body in (form(part("file", bytes(2 * limit))), unannounced()):
        answer = await door.client.post("/api/upload_video", content=body, headers=TYPE)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert is_nothing_left(door)
    assert (await post(door, form(part("file", bytes(limit)))))[0] == 200


@pytest.mark.parametrize("away", [{"mongo": True}, {"s3": True}])
async def test_without_a_service_it_is_refused_before_a_byte_is_read(
    door: Door, away: dict[str, bool]
) -> None:
    read: list[bytes] = []

    async def pieces() -> AsyncIterator[bytes]:
        read.append(CLIP)
        yield form(part("file", CLIP))

    door.set_away(**away)
    answer = await door.client.post("/api/upload_video", content=pieces(), headers=TYPE)
    assert read == []
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "2"
    door.set_away()
    assert is_nothing_left(door)


async def test_when_mongo_may_have_the_document_the_object_stays(door: Door) -> None:
    async def and_mongo_goes_away() -> AsyncIterator[bytes]:
        yield form(part("file", CLIP))
        door.set_away(mongo=True)

    answer = await door.client.post("/api/upload_video", content=and_mongo_goes_away(), headers=TYPE)
    assert answer.status_code == 503
    assert list(door.s3.objects("videos").values()) == [CLIP]


async def test_an_insert_that_the_driver_has_repeated_is_no_conflict(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = door.services.outbox.accept

    async def accept_twice(**asked: Any) -> Any:  # noqa: ANN401  # whatever the call gives
        await accept(**asked)
        return await accept(**asked)

    monkeypatch.setattr(door.services.outbox, "accept", accept_twice)
    status, body = await post(door, form(part("file", CLIP)))
    assert status == 200
    assert list(door.videos.documents) == [body["event_id"]]


@pytest.mark.parametrize("begun", [part("file", CLIP)[:-500], part("file", CLIP)])
async def test_a_client_that_stops_sending_is_given_up_and_leaves_nothing(
    door: Door, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_settings(door, monkeypatch, upload_idle=timedelta(seconds=0.05))

    async def and_then_nothing() -> AsyncIterator[bytes]:
        yield begun
        await asyncio.Event().wait()

    answer = await door.client.post("/api/upload_video", content=and_then_nothing(), headers=TYPE)
    assert (answer.status_code, answer.json()["code"]) == (408, "timeout")
    assert is_nothing_left(door)


async def test_a_form_that_goes_on_for_ever_after_its_file_is_given_up(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.intake.sent.REST_WITHIN", 0.05)

    async def for_ever() -> AsyncIterator[bytes]:
        yield part("file", CLIP) + part("other", b"")[:-2]
        while True:
            await asyncio.sleep(0.01)
            yield b"."

    answer = await door.client.post("/api/upload_video", content=for_ever(), headers=TYPE)
    assert (answer.status_code, answer.json()["code"]) == (408, "timeout")
    assert is_nothing_left(door)


@pytest.mark.parametrize("size", [100, 20 << 20])
async def test_a_client_that_goes_away_leaves_nothing(
    door: Door, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_settings(door, monkeypatch, max_upload_bytes=1 << 30)
    body = part("file", bytes(size))
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": body, "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:  # noqa: ANN401  # ASGI
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/upload_video",
        "headers": [(b"content-type", TYPE["content-type"].encode())],
        "query_string": b"",
    }
    await door.api(scope, receive, send)
    assert sent[0]["status"] == 499
    assert is_nothing_left(door)


async def test_one_upload_too_many_is_refused_before_a_byte_is_read(door: Door) -> None:
    read: list[bytes] = []

    async def pieces() -> AsyncIterator[bytes]:
        read.append(CLIP)
        yield form(part("file", CLIP))

    with ExitStack() as others:
        for _ in range(door.services.settings.max_uploads):
            others.enter_context(door.services.places.taken())
        answer = await door.client.post("/api/upload_video", content=pieces(), headers=TYPE)
        assert read == []
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert int(answer.headers["retry-after"]) > 0
        assert is_nothing_left(door)
    assert (await post(door, form(part("file", CLIP))))[0] == 200


async def test_an_upload_that_is_refused_gives_its_place_back(door: Door) -> None:
    for _ in range(2 * door.services.settings.max_uploads):
        assert (await post(door, b"no form at all"))[0] == 422


async def test_everything_in_a_form_has_an_end(door: Door) -> None:
    limit = door.services.settings.max_upload_bytes
    endless = b"x" * (limit + (1 << 20))
    whole = form(part("file", CLIP))
    for body in (part("other", endless) + whole, b"\r\n" * len(endless), whole + endless):

        async def pieces(body: bytes = body) -> AsyncIterator[bytes]:
            for start in range(0, len(body), 1 << 16):
                yield body[start : start + (1 << 16)]

        answer = await door.client.post("/api/upload_video", content=pieces(), headers=TYPE)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert is_nothing_left(door)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("a\u202egpj.exe", "a\ufffdgpj.exe"),
        ("..", None),
        ("ю" * 300, "ю" * 255),
    ],
)
async def test_a_name_is_kept_harmless_and_names_nothing(door: Door, sent: str, kept: str | None) -> None:
    status, body = await post(door, form(part("file", CLIP, filename=sent)))
    assert status == 200
    assert list(door.s3.objects("videos")) == [f"input/{body['event_id']}.mp4"]
    assert door.videos.documents[body["event_id"]].get("filename") == kept
    facts = await door.services.storage.stat("videos", f"input/{body['event_id']}.mp4")
    assert facts is not None
    assert (kept or "").startswith(unquote(facts.metadata.get("filename", "")))

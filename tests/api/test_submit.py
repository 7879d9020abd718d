"""Submitting a video: a form, a body, or a name, with options; nothing is left of what is refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.domain.messages import Options, Preprocess
from tests.api.conftest import Door
from tests.api.test_upload import CLIP, TYPE, form, is_nothing_left, part

PATH = "/api/v1/videos"
RAW = {"content-type": "video/mp4"}


async def post_form(door: Door, body: bytes, query: str = "") -> httpx.Response:
    return await door.client.post(PATH + query, content=body, headers=TYPE)


async def post_raw(door: Door, body: Any = CLIP, query: str = "", **headers: str) -> httpx.Response:  # noqa: ANN401  # bytes or pieces of them
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return await door.client.post(PATH + query, content=body, headers=RAW | more)


async def test_a_form_is_accepted_with_its_place_and_its_json(door: Door) -> None:
    files = {"file": ("cats.mp4", CLIP, "video/mp4")}
    answer = await door.client.post(PATH, files=files, data={"conf": "0.5", "tags": ["a", "b"]})
    assert answer.status_code == 202
    body = answer.json()
    video_id = body["id"]
    assert UUID(video_id).version == 4
    assert answer.headers["location"] == f"/api/v1/videos/{video_id}"
    assert "idempotent-replayed" not in answer.headers
    assert body | {"options": None} == {
        "id": video_id,
        "status": "queued",
        "stage": "queued",
        "filename": "cats.mp4",
        "tags": ["a", "b"],
        "attempt": 1,
        "options": None,
        "bucket": "videos",
        "object": f"input/{video_id}.mp4",
        "created_at": "2026-01-01T00:00:00Z",
        "sent_at": None,
        "ended_at": None,
        "error": None,
    }
    assert (body["options"]["conf"], body["options"]["iou"], body["options"]["classes"]) == (0.5, 0.45, None)
    assert door.s3.objects("videos") == {f"input/{video_id}.mp4": CLIP}
    assert door.waker.knocks == 1


async def test_a_body_that_is_the_video_is_accepted(door: Door) -> None:
    disposition = "attachment; filename=\"___.mp4\"; filename*=UTF-8''%D0%BA%D0%BE%D1%82.mp4"
    answer = await post_raw(door, query="?conf=0.5&tags=a&tags=b", content_disposition=disposition)
    assert answer.status_code == 202
    body = answer.json()
    assert (body["filename"], body["tags"], body["options"]["conf"]) == ("кот.mp4", ["a", "b"], 0.5)
    assert door.s3.objects("videos") == {body["object"]: CLIP}
    facts = await door.services.storage.stat("videos", body["object"])
    assert facts is not None
    assert facts.content_type == "video/mp4"
    assert facts.metadata["kadr-upload"] == "1"


async def test_a_body_needs_no_name_and_no_length(door: Door) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield CLIP[:100]
        yield CLIP[100:]

    answer = await post_raw(door, pieces(), content_type="video/x-matroska; codecs=av1")
    assert answer.status_code == 202
    assert answer.json()["filename"] is None
    assert list(door.s3.objects("videos").values()) == [CLIP]


async def test_a_stored_video_is_accepted_by_its_name(door: Door) -> None:
    await door.put("archive/street.mp4", CLIP)
    asked = {"bucket": "videos", "object": "archive/street.mp4", "classes": ["car", 2], "tags": ["street"]}
    answer = await door.client.post(PATH, json=asked)
    assert answer.status_code == 202
    body = answer.json()
    assert (body["object"], body["options"]["classes"], body["tags"]) == (
        "archive/street.mp4",
        ["car", 2],
        ["street"],
    )
    assert door.videos.documents[body["id"]]["input_owned"] is False


@pytest.mark.parametrize(
    ("asked", "status", "field"),
    [
        ({"object": "nothing.mp4"}, 404, None),
        ({"object": "a.mp4", "bucket": "secret"}, 422, "bucket"),
        ({"object": "http://example.org/a.mp4"}, 422, "object"),
        ({"object": "../a.mp4"}, 422, "object"),
        ({"object": "a.mp4", "conf": 2}, 422, "conf"),
        ({"object": "a.mp4", "url": "x"}, 422, "url"),
        ({"bucket": "videos"}, 422, "object"),
        ({}, 422, "object"),
    ],
)
async def test_what_cannot_be_asked_for_is_refused(
    door: Door, asked: dict[str, Any], status: int, field: str | None
) -> None:
    answer = await door.client.post(PATH, json=asked)
    assert answer.status_code == status
    assert field is None or field in {each["field"] for each in answer.json()["errors"]}
    assert is_nothing_left(door)


async def test_options_travel_to_the_agents_and_tags_and_webhook_stay_in_the_document(door: Door) -> None:
    parts = [
        part("imgsz", b"320"),
        part("classes", b"car"),
        part("file", CLIP),
        part("classes", b"0"),
        part("preprocess", b'{"blur": 1}'),
        part("webhook", b"https://example.org/hook"),
        part("tags", "два слова".encode()),
    ]
    answer = await post_form(door, form(*parts), "?start=1.5&end=3&tags=first")
    assert answer.status_code == 202
    document = door.videos.documents[answer.json()["id"]]
    assert document["tags"] == ["first", "два слова"]
    assert document["webhook"] == {"url": "https://example.org/hook"}
    (claimed,) = await door.services.outbox.claims.take()
    assert claimed.asked.options == Options(
        imgsz=320, classes=("car", 0), preprocess=Preprocess(blur=1), start=1.5, end=3
    )
    assert answer.json()["options"]["preprocess"] == {"blur": 1, "alpha": 1.3, "beta": 5.0}


@pytest.mark.parametrize("is_before", [True, False])
async def test_a_field_is_refused_by_its_name_wherever_it_stands(door: Door, *, is_before: bool) -> None:
    for name, value in (("conf", b"7"), ("confidence", b"0.5"), ("tags", b""), ("bucket", b"secret")):
        parts = [part(name, value), part("file", CLIP)]
        answer = await post_form(door, form(*(parts if is_before else reversed(parts))))
        assert answer.status_code == 422
        assert [each["field"] for each in answer.json()["errors"]] == [name]
        assert is_nothing_left(door)


async def test_a_field_may_be_there_once(door: Door) -> None:
    for query, body in (
        ("?conf=0.1", form(part("conf", b"0.1"), part("file", CLIP))),
        ("", form(part("conf", b"0.1"), part("file", CLIP), part("conf", b"0.1"))),
        ("?conf=0.1&conf=0.2", form(part("file", CLIP))),
        ("?bucket=videos", form(part("file", CLIP), part("bucket", b"videos"))),
    ):
        answer = await post_form(door, body, query)
        assert answer.status_code == 422
        assert "twice" in answer.json()["errors"][0]["message"]
    assert is_nothing_left(door)


async def test_a_query_beside_json_is_refused(door: Door) -> None:
    answer = await door.client.post(f"{PATH}?conf=0.5", json={"object": "a.mp4"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "conf")


@pytest.mark.parametrize("is_before", [True, False])
async def test_the_bucket_may_stand_before_or_after_the_file(door: Door, *, is_before: bool) -> None:
    parts = [part("bucket", b"archive"), part("file", CLIP)]
    answer = await post_form(door, form(*(parts if is_before else reversed(parts))))
    assert answer.json()["bucket"] == "archive"
    assert door.s3.objects("videos") == {}
    assert door.s3.objects("archive") == {answer.json()["object"]: CLIP}


@pytest.mark.parametrize(
    "body",
    [
        form(part("file", CLIP), part("webhook", b"x" * 5000)),
        form(part("webhook", b"x" * 5000), part("file", CLIP)),
        form(*[part("tags", b"%d" % number) for number in range(200)], part("file", CLIP)),
        form(part("file", CLIP), *[part("tags", b"%d" % number) for number in range(200)]),
        form(part("file", CLIP), part("file", CLIP)),
        form(part("file", b"")),
        form(),
        b"no form at all",
        part("file", CLIP),
    ],
)
async def test_what_is_no_form_is_refused_and_leaves_nothing(door: Door, body: bytes) -> None:
    assert (await post_form(door, body)).status_code == 422
    assert is_nothing_left(door)


@pytest.mark.parametrize(
    "content_type", ["", "application/octet-stream", "text/plain", "multipart/mixed; boundary=bb", "video"]
)
async def test_what_is_no_video_by_its_type_is_refused(door: Door, content_type: str) -> None:
    answer = await door.client.post(PATH, content=CLIP, headers={"content-type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert is_nothing_left(door)


async def test_an_empty_body_is_refused(door: Door) -> None:
    answer = await post_raw(door, b"")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "file")
    assert is_nothing_left(door)


async def test_a_body_over_the_limit_is_refused_and_leaves_nothing(door: Door) -> None:
    limit = door.services.settings.max_upload_bytes

    async def unannounced() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(limit // 16)

    for body in (bytes(2 * limit), bytes(limit + 1), unannounced()):
        answer = await post_raw(door, body)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert is_nothing_left(door)
    assert (await post_raw(door, bytes(limit))).status_code == 202


async def test_options_in_a_query_are_refused_before_a_byte_is_read(door: Door) -> None:
    read: list[bytes] = []

    async def pieces() -> AsyncIterator[bytes]:
        read.append(CLIP)
        yield CLIP

    answer = await post_raw(door, pieces(), "?conf=7")
    assert (answer.status_code, read) == (422, [])


async def test_a_client_that_stops_sending_is_given_up_and_leaves_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = door.services.settings.model_copy(update={"upload_idle": timedelta(seconds=0.05)})
    monkeypatch.setattr(door.api.state, "services", replace(door.services, settings=settings))

    async def and_then_nothing() -> AsyncIterator[bytes]:
        yield CLIP
        await asyncio.Event().wait()

    answer = await post_raw(door, and_then_nothing())
    assert (answer.status_code, answer.json()["code"]) == (408, "timeout")
    assert is_nothing_left(door)


async def test_a_body_in_json_has_the_bounds_of_every_other_request(door: Door) -> None:
    body = json.dumps({"object": "a.mp4", "x": "y" * 70_000}).encode()
    answer = await door.client.post(PATH, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("away", [{"mongo": True}, {"s3": True}])
async def test_without_a_service_nothing_is_accepted(door: Door, away: dict[str, bool]) -> None:
    door.set_away(**away)
    assert (await post_raw(door)).status_code == 503
    door.set_away()
    assert is_nothing_left(door)

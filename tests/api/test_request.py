"""Asking for a video that is in the object storage already."""

from collections.abc import AsyncIterator

import pytest

from tests.api.conftest import Door

NO_NAMES = [
    *("http://127.0.0.1/a.mp4", "https:/a", "S3://videos/a", "file:///etc/passwd", "concat:/a"),
    *("a\n.mp4", "a\0.mp4", "a\x7f", "a\x85b", "a\u2028b"),
    *("..", ".", "../secret/a", "a/../../secret/a", "a/./b", "/a", "//input/a.mp4", "a//b", "a/"),
]
"""What cannot be the name of an object, or could come to mean another one on the way."""


async def request(door: Door, **body: object) -> tuple[int, dict[str, object]]:
    answer = await door.client.post("/api/request", json=body)
    return answer.status_code, answer.json()


async def test_a_stored_video_is_accepted_and_stays_its_owners(door: Door) -> None:
    await door.put("mine/a.mp4", b"x")
    status, body = await request(door, bucket="videos", object="mine/a.mp4", media_type="video")
    assert status == 200
    assert body["status"] == "ok"
    document = door.videos.documents[body["event_id"]]
    assert document["payload"] == {"bucket": "videos", "object": "mine/a.mp4", "media_type": "video"}
    assert document["input_owned"] is False
    assert door.waker.knocks == 1


async def test_a_video_that_is_not_there_is_not_found(door: Door) -> None:
    status, body = await request(door, bucket="videos", object="mine/b.mp4", media_type="video")
    assert (status, body["code"]) == (404, "not_found")
    assert door.videos.documents == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"bucket": "videos", "object": "a", "media_type": "audio"}, "media_type"),
        ({"bucket": "secret", "object": "a", "media_type": "video"}, "bucket"),
        ({"bucket": "videos", "media_type": "video"}, "object"),
        ({"bucket": "videos", "object": "", "media_type": "video"}, "object"),
        ({"bucket": "videos", "object": "x" * 1025}, "object"),
        ({}, "bucket"),
        ({"bucket": "videos", "object": "a", "url": "http://a/b"}, "url"),
        *(({"bucket": "videos", "object": name}, "object") for name in NO_NAMES),
    ],
)
async def test_what_cannot_be_asked_for_is_refused(door: Door, body: dict[str, object], field: str) -> None:
    await door.put("a", b"x")
    status, problem = await request(door, **body)
    assert (status, problem["code"]) == (422, "invalid")
    errors = problem["errors"]
    assert isinstance(errors, list)
    assert errors[0]["field"] == field
    assert door.videos.documents == {}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
async def test_what_is_no_json_is_refused(door: Door, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = await door.client.post("/api/request", content=content, headers=headers)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_request_of_many_bytes_is_refused(door: Door) -> None:
    async def unannounced() -> AsyncIterator[bytes]:
        yield b" " * 100_000

    for content in (b" " * 100_000, unannounced()):
        answer = await door.client.post("/api/request", content=content)
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"


async def test_without_a_service_it_is_unavailable(door: Door) -> None:
    await door.put("a", b"x")
    for away in ({"s3": True}, {"mongo": True}):
        door.set_away(**away)
        status, body = await request(door, bucket="videos", object="a")
        assert (status, body["code"]) == (503, "unavailable")


@pytest.mark.parametrize(
    "name",
    ["2026-01-01T10:00:00/a.mp4", "a..b/.../c", "%2e%2e/a", "Straße 👩‍🚀.mp4", "a:b", "a\\b", "?a#b&c"],
)
async def test_strange_names_are_names_all_the_same(door: Door, name: str) -> None:
    await door.put(name, b"x")
    status, _ = await request(door, bucket="videos", object=name)
    assert status == 200

"""A video as it was uploaded: whole, in parts, and as what it is said to be."""

import hashlib

import pytest

from app.domain.objects import (
    input_object,
)
from tests.api.conftest import Door

DATA = bytes(range(256)) * 4000
PATH = "/api/v1/videos/a/media"


async def accept(
    door: Door, *, content_type: str = "video/mp4", filename: str | None = "a clip.mp4", data: bytes = DATA
) -> None:
    await door.services.outbox.accept(
        video_id="a",
        bucket="videos",
        object_name=input_object("a"),
        input_owned=True,
        filename=filename,
    )
    await door.services.storage.put("videos", input_object("a"), data, content_type=content_type)


async def test_a_video_comes_byte_for_byte(door: Door) -> None:
    await accept(door)
    answer = await door.client.get(PATH)
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["content-length"] == str(len(DATA))
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["etag"] == f'"{hashlib.md5(DATA, usedforsecurity=False).hexdigest()}"'
    assert answer.headers["content-disposition"] == 'inline; filename="a clip.mp4"'
    assert door.s3.opened == set()


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=5000-", 5000, 1023999), ("bytes=-7", 1023993, 1023999)],
)
async def test_a_range_comes_as_what_it_is(door: Door, asked: str, first: int, last: int) -> None:
    await accept(door)
    answer = await door.client.get(PATH, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, DATA[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert answer.headers["content-length"] == str(last - first + 1)
    assert door.s3.opened == set()


async def test_a_range_beyond_the_end_is_refused_with_the_length(door: Door) -> None:
    await accept(door)
    answer = await door.client.get(PATH, headers={"Range": f"bytes={len(DATA)}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"
    assert answer.json()["code"] == "range_not_satisfiable"


async def test_a_range_of_another_version_is_the_whole(door: Door) -> None:
    await accept(door)
    etag = (await door.client.head(PATH)).headers["etag"]
    for condition, status in ((etag, 206), ('"other"', 200)):
        headers = {"Range": "bytes=0-9", "If-Range": condition}
        assert (await door.client.get(PATH, headers=headers)).status_code == status
    again = await door.client.get(PATH, headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    other = await door.client.get(PATH, headers={"If-Match": '"other"'})
    assert (other.status_code, other.json()["code"]) == (412, "precondition_failed")


async def test_a_head_says_what_a_get_would_and_opens_nothing(door: Door) -> None:
    await accept(door)
    for headers in ({}, {"Range": "bytes=3-5"}):
        head, get = (
            await door.client.head(PATH, headers=headers),
            await door.client.get(PATH, headers=headers),
        )
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert dict(head.headers) == dict(get.headers)


@pytest.mark.parametrize("content_type", ["text/html", "video/mp4; x=<script>", "", "image/svg+xml"])
async def test_what_is_not_said_to_be_a_video_is_bytes_to_be_saved(door: Door, content_type: str) -> None:
    await accept(door, content_type=content_type, filename='<b>"x.html')
    answer = await door.client.get(PATH)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_an_empty_file_is_an_empty_answer(door: Door) -> None:
    await accept(door, data=b"")
    answer = await door.client.get(PATH)
    assert (answer.status_code, answer.content) == (200, b"")


async def test_a_video_that_is_unknown_deleted_or_without_its_file_is_not_found(door: Door) -> None:
    assert (await door.client.get(PATH)).status_code == 404
    await accept(door)
    await door.services.storage.delete("videos", input_object("a"))
    answer = await door.client.get(PATH)
    assert (answer.status_code, answer.json()["detail"]) == (404, "The video's file does not exist")
    await accept_again(door)
    await door.client.delete("/api/v1/videos/a")
    assert (await door.client.get(PATH)).status_code == 404
    assert (await door.client.head(PATH)).status_code == 404


async def accept_again(door: Door) -> None:
    await door.services.storage.put("videos", input_object("a"), DATA, content_type="video/mp4")


async def test_without_s3_it_is_unavailable(door: Door) -> None:
    await accept(door)
    door.set_away(s3=True)
    answer = await door.client.get(PATH)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")

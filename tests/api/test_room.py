"""Below `MIN_FREE_BYTES` no upload is taken, in whichever way it comes; everything else goes on."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from minio.error import S3Error
from urllib3 import HTTPResponse

from api.intake.room import Room
from app.clients.presence import Presence
from app.clients.s3 import calls as s3
from app.errors import NoRoom, Unavailable
from tests.api.conftest import Door
from tests.support.small_disk import MEBIBYTE, SmallDisk, obstacle

FILE = {"file": ("clip.mp4", b"some bytes", "video/mp4")}

UPLOADS: dict[str, tuple[str, dict[str, Any]]] = {
    "a form": ("/api/upload_video", {"files": FILE}),
    "a form of v1": ("/api/v1/videos", {"files": FILE}),
    "a body": ("/api/v1/videos", {"content": b"some bytes", "headers": {"content-type": "video/mp4"}}),
    "a direct one": ("/api/uploads", {"json": {"size": 10}}),
}

each_way = pytest.mark.parametrize("way", UPLOADS)


def set_free(door: Door, free: int) -> None:
    door.services.room._note(free)


@each_way
async def test_without_room_no_upload_is_taken_and_nothing_is_left_of_it(door: Door, way: str) -> None:
    path, given = UPLOADS[way]
    set_free(door, door.services.settings.min_free_bytes - 1)
    answer = await door.client.post(path, **given)
    assert answer.status_code == HTTPStatus.INSUFFICIENT_STORAGE, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.headers["retry-after"]) == ("insufficient_storage", "60")
    assert (door.s3.objects("videos"), door.videos.documents) == ({}, {})


@each_way
async def test_an_upload_is_refused_that_would_take_the_last_of_it(door: Door, way: str) -> None:
    path, given = UPLOADS[way]
    set_free(door, door.services.settings.min_free_bytes + 9)
    assert (await door.client.post(path, **given)).status_code == HTTPStatus.INSUFFICIENT_STORAGE
    set_free(door, door.services.settings.min_free_bytes + 4096)
    assert (await door.client.post(path, **given)).is_success


async def test_an_s3_server_that_is_full_refuses_uploads_and_is_waited_for_by_all_others(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise NoRoom("S3", "Storage backend has reached its minimum free drive threshold.")

    monkeypatch.setattr(door.s3, "put", full)
    path, given = UPLOADS["a form"]
    assert (await door.client.post(path, **given)).status_code == HTTPStatus.INSUFFICIENT_STORAGE
    monkeypatch.setattr(door.services.outbox, "get", full)
    answer = await door.client.get("/api/v1/videos/a/summary")
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE


async def test_an_upload_ends_when_the_room_does(door: Door) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"some bytes"
        set_free(door, 0)
        await asyncio.sleep(0)
        yield b"some more"

    answer = await door.client.post("/api/v1/videos", content=body(), headers={"content-type": "video/mp4"})
    assert answer.status_code == HTTPStatus.INSUFFICIENT_STORAGE
    assert (door.s3.objects("videos"), door.videos.documents) == ({}, {})


async def test_what_is_stored_already_may_be_asked_for_and_deleted(door: Door) -> None:
    await door.put("theirs.mp4", b"x")
    set_free(door, 0)
    wanted = {"bucket": "videos", "object": "theirs.mp4", "media_type": "video"}
    answer = await door.client.post("/api/request", json=wanted)
    assert answer.is_success
    assert (await door.client.delete(f"/api/v1/videos/{answer.json()['event_id']}")).is_success


@pytest.mark.skipif(obstacle() is not None, reason=str(obstacle()))
async def test_what_counts_is_the_disk_below_the_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    room = Room(tmp_path / "not" / "made yet", least=4 * MEBIBYTE)
    with SmallDisk.over(tmp_path, size=8 * MEBIBYTE) as disk:
        await room.refresh()
        room.require(3 * MEBIBYTE)
        with pytest.raises(NoRoom):
            room.require(5 * MEBIBYTE)
        disk.fill(leave=MEBIBYTE)
        await room.refresh()
        await room.refresh()
        with pytest.raises(NoRoom, match="1048576 bytes are free"):
            room.require()
        disk.free()
        await room.refresh()
        room.require()
    events = [record.getMessage() for record in caplog.records if record.name == "api.intake.room"]
    assert events == ["uploads are refused: there is no room"]


async def test_a_least_of_nothing_refuses_nothing(tmp_path: Path) -> None:
    room = Room(tmp_path, least=0)
    await room.refresh()
    room.require(1 << 60)


def test_an_s3_server_that_says_that_it_is_full_is_not_taken_for_one_that_is_away() -> None:
    said = ("XMinioStorageFull", "Storage backend has reached its minimum free drive threshold.")
    for code, status, kind in (
        (said[0], 507, NoRoom),
        ("Unheard", 507, NoRoom),
        ("SlowDown", 503, Unavailable),
    ):
        error = S3Error(HTTPResponse(status=status), code, said[1], None, None, None)
        with pytest.raises(Unavailable) as raised, s3._translated(Presence("S3")):
            raise error
        assert type(raised.value) is kind

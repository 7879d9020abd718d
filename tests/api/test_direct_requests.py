"""What clients say about direct uploads, on servers in memory."""

from datetime import timedelta
from typing import Any

import pytest

from api.intake import direct
from app.clients.main_db.direct_uploads import DirectUploads
from app.domain.objects import (
    input_object,
)
from app.domain.options import Options
from app.errors import RetryLater
from tests.api.conftest import Door
from tests.support.memory_mongo import MemoryDocuments

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"size": 5, "filename": "\\ud800"}',
        b'{"size": 5, "bucket": "\\ud800"}',
        b'{"size": 5, "content_type": 7}',
        b'{"size": 1e400}',
        b'{"size": "5 "}',
        b'{"size": NaN}',
        b"[]",
        b"{",
        b"\xff",
        b"",
    ],
)
async def test_what_is_no_announcement_is_refused(door: Door, body: bytes) -> None:
    answer = await door.client.post("/api/uploads", content=body, headers=JSON)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\r\nX: y", "\0", "\u202egpj.mp4", "ж" * 1024])
async def test_a_file_name_is_data(door: Door, name: str) -> None:
    begun = (await door.client.post("/api/uploads", json={"size": 5, "filename": name})).json()
    assert begun["object"] == input_object(begun["upload_id"])
    for value in begun["put"]["headers"].values():
        assert value.isascii()
        assert value.isprintable()


async def test_a_content_type_that_is_no_videos_is_not_kept(door: Door) -> None:
    body = {"size": 5, "content_type": "text/html"}
    begun = (await door.client.post("/api/uploads", json=body)).json()
    assert begun["put"]["headers"]["Content-Type"] == "video/mp4"


@pytest.mark.parametrize("upload_id", ["x", "%00", "%ff", "..%2f..", "a" * 3000, "%ed%a0%80"])
async def test_an_id_of_no_upload_is_unknown(door: Door, upload_id: str) -> None:
    path = f"/api/uploads/{upload_id}"
    assert (await door.client.delete(path)).status_code == 404
    assert (await door.client.post(f"{path}/complete")).status_code == 404
    assert (await door.client.post(f"{path}/parts", json={"first": 1})).status_code == 404


async def test_without_a_service_nothing_is_begun_and_nothing_completed(door: Door) -> None:
    begun = (await door.client.post("/api/uploads", json={"size": 5})).json()
    await door.services.storage.put(
        "videos", begun["object"], b"12345", content_type="video/mp4", metadata={"kadr-upload": "1"}
    )
    path = f"/api/uploads/{begun['upload_id']}/complete"
    for away in ({"s3": True}, {"mongo": True}):
        door.set_away(**away)
        answer = await door.client.post("/api/uploads", json={"size": 5})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert (await door.client.post(path)).status_code == 503
    door.set_away()
    assert (await door.client.post(path)).status_code == 200
    assert door.waker.knocks == 1


async def test_an_upload_that_is_being_completed_is_neither_aborted_nor_expired(door: Door) -> None:
    begun = (await door.client.post("/api/uploads", json={"size": 5})).json()
    upload = await door.services.direct.get(begun["upload_id"])
    assert upload is not None
    door.clock.now = upload.expires_at - direct.URLS_LAST / 3600  # a second before its time is over
    assert await door.services.direct.hold(upload)
    assert (await door.client.delete(f"/api/uploads/{upload.id}")).status_code == 409
    door.clock.now = upload.expires_at + direct.URLS_LAST / 60
    assert not await door.services.direct.expire(upload.id)
    assert await door.services.direct.get(upload.id)


async def test_an_upload_that_was_given_up_is_not_completed(door: Door) -> None:
    begun = (await door.client.post("/api/uploads", json={"size": 5})).json()
    upload = await door.services.direct.get(begun["upload_id"])
    assert upload is not None
    door.clock.now = upload.expires_at
    assert await door.services.direct.expire(upload.id)
    assert not await door.services.direct.hold(upload)
    answer = await door.client.post(f"/api/uploads/{upload.id}/complete")
    assert answer.status_code == 404


async def test_what_could_not_be_taken_away_is_taken_away_the_next_time(door: Door) -> None:
    begun = (await door.client.post("/api/uploads", json={"size": 20 << 20, "bucket": "archive"})).json()
    assert begun["code"] == "too_large"
    begun = (await door.client.post("/api/uploads", json={"size": 5})).json()
    upload = await door.services.direct.get(begun["upload_id"])
    assert upload is not None
    await door.put(upload.object, b"12345")
    door.clock.now = upload.expires_at
    services = door.services
    door.set_away(s3=True)
    with pytest.raises(RetryLater):
        await direct.expire(direct=services.direct, outbox=services.outbox, storage=services.storage)
    door.set_away()
    await direct.expire(direct=services.direct, outbox=services.outbox, storage=services.storage)
    assert door.s3.objects("videos") == {}
    assert not await services.direct.expired(limit=10)


async def test_what_is_chosen_when_an_upload_begins_holds_for_its_video(door: Door) -> None:
    chosen = {"conf": 0.4, "classes": ["car", 0], "preprocess": False, "start": 1.5}
    told = {"tags": ["улица"], "webhook": "https://example.org/hook"}
    begun = (await door.client.post("/api/uploads", json={"size": 5, **chosen, **told})).json()
    await door.services.storage.put(
        "videos", begun["object"], b"12345", content_type="video/mp4", metadata={"kadr-upload": "1"}
    )
    answer = await door.client.post(f"/api/uploads/{begun['upload_id']}/complete")
    assert answer.status_code == 200, answer.text
    shown = (await door.client.get(f"/api/v1/videos/{begun['video_id']}")).json()
    assert (shown["options"].items() >= chosen.items(), shown["tags"]) == (True, told["tags"])
    video = await door.services.outbox.get(begun["video_id"])
    assert video is not None
    assert video.options == Options(conf=0.4, classes=("car", 0), preprocess=False, start=1.5)
    assert door.videos.documents[video.id]["webhook"] == {"url": told["webhook"]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"conf": 2},
        {"conf": "0.4"},
        {"preprocess": {"blur": "3"}},
        {"start": 2, "end": 1},
        {"tags": ["a", "a"]},
        {"webhook": "ftp://example.org"},
        {"webhook": "http://127.0.0.1/"},
        {"konf": 0.4},
    ],
    ids=str,
)
async def test_a_choice_is_refused_as_with_any_other_video_and_before_there_are_urls(
    door: Door, wrong: dict[str, Any]
) -> None:
    direct = await door.client.post("/api/uploads", json={"size": 5, **wrong})
    stored = await door.client.post("/api/v1/videos", json={"object": "a.mp4", **wrong})
    assert direct.status_code == stored.status_code == 422
    assert direct.json()["errors"] == stored.json()["errors"]


async def test_an_upload_that_an_older_version_has_begun_is_completed(door: Door) -> None:
    now = door.clock.now
    older = {"bucket": "videos", "size": 5, "filename": "a.mp4", "s3_upload": None, "part_size": 0}
    times = {"created_at": now, "expires_at": now + timedelta(hours=1)}
    uploads = MemoryDocuments()
    await uploads.insert({"_id": "u", "status": "open", "owner": None, **older, **times})
    found = await DirectUploads(uploads, now=door.clock).get("u")
    assert found is not None
    assert (found.options, found.tags, found.webhook) == (None, (), None)

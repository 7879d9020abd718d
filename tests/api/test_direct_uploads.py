"""Uploads that go to S3 without us, on the real servers; the API is a process of its own."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from api.dependencies import Services
from api.intake import direct
from api.lifecycle.sweeps import Sweeps
from app.clients.main_db.api_keys import api_keys
from app.clients.main_db.direct_uploads import DATABASE, DirectUploads, direct_uploads
from app.clients.main_db.video_outbox import VideoOutbox, video_outbox
from app.clients.main_db.webhook_deliveries import webhook_deliveries
from app.clients.mongo import Mongo
from app.clients.s3.storage import Storage, UploadedPart, UploadKey
from app.domain.api_keys import Quotas, Scope
from app.domain.objects import (
    OURS,
    input_object,
)
from app.settings import Settings
from tests.support.api_process import ApiProcess, open_api

pytestmark = pytest.mark.servers

MIB = 1 << 20
SIZE = 40 * MIB
"""Three parts: 16, 16 and 8 MiB."""


@pytest.fixture(scope="module")
def running(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    log = tmp_path_factory.mktemp("api") / "log"
    with open_api(servers, log, given={"MAX_UPLOAD_BYTES": str(64 * MIB)}) as found:
        yield found
    assert "X-Amz-Signature" not in log.read_text(encoding="utf-8"), "a URL that lets its holder write"


@pytest.fixture
async def client(running: ApiProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=running.url, timeout=60, trust_env=False) as opened:
        yield opened


@pytest.fixture
async def s3() -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who has URLs and nothing else."""
    async with httpx.AsyncClient(timeout=60, trust_env=False) as opened:
        yield opened


def clock_ahead(by: timedelta) -> Callable[[], datetime]:
    """A clock that is fast."""
    return lambda: datetime.now(UTC) + by


async def begin(client: httpx.AsyncClient, size: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    answer = await client.post("/api/uploads", json={"size": size, **more})
    assert answer.status_code == 201, answer.text
    begun: dict[str, Any] = answer.json()
    return begun


async def put(s3: httpx.AsyncClient, wanted: dict[str, Any], data: bytes) -> httpx.Response:
    return await s3.put(wanted["url"], headers=wanted["headers"], content=data)


async def complete(client: httpx.AsyncClient, begun: dict[str, Any], **body: Any) -> httpx.Response:  # noqa: ANN401 - JSON
    return await client.post(f"/api/uploads/{begun['upload_id']}/complete", json=body)


async def send_parts(s3: httpx.AsyncClient, begun: dict[str, Any], data: bytes) -> list[dict[str, Any]]:
    sent = []
    for part in begun["parts"]:
        start = (part["number"] - 1) * begun["part_size"]
        answer = await put(s3, part, data[start : start + part["size"]])
        assert answer.status_code == 200, answer.text
        sent.append({"number": part["number"], "etag": answer.headers["etag"]})
    return sent


async def test_a_small_file_goes_in_one_request(
    client: httpx.AsyncClient, s3: httpx.AsyncClient, storage: Storage, outbox: VideoOutbox
) -> None:
    data = os.urandom(1000)
    begun = await begin(client, len(data), filename="Straße \u202e.mp4", content_type="video/webm")
    assert begun["method"] == "single"
    assert begun["upload_id"] == begun["video_id"]
    assert "parts" not in begun
    early = await complete(client, begun)
    assert (early.status_code, early.json()["code"]) == (409, "not_uploaded")
    assert (await put(s3, begun["put"], data)).status_code == 200
    answer = await complete(client, begun)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"status": "ok", "event_id": begun["video_id"]}
    assert await storage.get("videos", begun["object"]) == data
    facts = await storage.stat("videos", begun["object"])
    assert facts is not None
    assert facts.content_type == "video/webm"
    assert facts.metadata.items() >= OURS.items()
    video = await outbox.get(begun["video_id"])
    assert video is not None
    assert (video.object, video.input_owned, video.filename) == (begun["object"], True, "Straße \ufffd.mp4")
    assert video.object == input_object(video.id)


async def test_a_large_file_goes_in_parts_in_any_order(
    client: httpx.AsyncClient, s3: httpx.AsyncClient, storage: Storage, outbox: VideoOutbox
) -> None:
    data = os.urandom(SIZE)
    begun = await begin(client, SIZE)
    assert (begun["method"], begun["part_size"], begun["part_count"]) == ("multipart", 16 * MIB, 3)
    assert [part["size"] for part in begun["parts"]] == [16 * MIB, 16 * MIB, 8 * MIB]
    begun["parts"].reverse()
    begun["parts"].pop()  # the first one; its URL is asked for again
    sent = await send_parts(s3, begun, data)
    missing = await complete(client, begun)
    assert (missing.status_code, missing.json()["code"]) == (409, "not_uploaded")
    assert missing.json()["detail"] == "1 of 3 parts have not arrived: 1"
    more = await client.post(f"/api/uploads/{begun['upload_id']}/parts", json={"first": 1, "count": 1})
    assert [part["number"] for part in more.json()["parts"]] == [1]
    sent += await send_parts(s3, begun | {"parts": more.json()["parts"]}, data)
    wrong = await complete(client, begun, parts=[{"number": 1, "etag": sent[0]["etag"]}])
    assert wrong.status_code == 422, wrong.text
    assert wrong.json()["errors"][0]["field"] == "parts"
    answer = await complete(client, begun, parts=sent)
    assert answer.status_code == 200, answer.text
    assert await storage.get("videos", begun["object"]) == data
    facts = await storage.stat("videos", begun["object"])
    assert facts is not None
    assert facts.metadata.items() >= OURS.items()
    assert await outbox.get(begun["video_id"])


async def test_completing_again_and_at_the_same_time_is_completing_once(
    client: httpx.AsyncClient, s3: httpx.AsyncClient, outbox: VideoOutbox
) -> None:
    data = os.urandom(SIZE)
    begun = await begin(client, SIZE)
    await send_parts(s3, begun, data)
    answers = await asyncio.gather(*(complete(client, begun) for _ in range(4)))
    answers.append(await complete(client, begun))
    assert {(each.status_code, each.text) for each in answers} == {
        (200, json.dumps({"status": "ok", "event_id": begun["video_id"]}, separators=(",", ":")))
    }
    assert await outbox.get(begun["video_id"])
    for method, path in (("DELETE", ""), ("POST", "/parts")):
        more = {"json": {"first": 1}} if method == "POST" else {}
        gone = await client.request(method, f"/api/uploads/{begun['upload_id']}{path}", **more)  # type: ignore[arg-type]
        assert gone.status_code == 404, "it is a video now"


async def test_parts_that_another_call_puts_together_just_now_are_not_missing(
    client: httpx.AsyncClient, s3: httpx.AsyncClient, storage: Storage, mongo: Mongo
) -> None:
    begun = await begin(client, SIZE)
    await send_parts(s3, begun, os.urandom(SIZE))
    upload = await direct_uploads(mongo).get(begun["upload_id"])
    assert upload is not None

    async def parts(key: UploadKey) -> list[UploadedPart]:
        arrived = await storage.parts(key)
        await storage.assemble(key, [part.tag for part in arrived])
        return []

    other = SimpleNamespace(parts=parts, stat=storage.stat)
    services = cast("Services", SimpleNamespace(storage=other))
    await direct._assemble(services, upload, None)
    assert await storage.stat("videos", begun["object"])


async def test_a_url_takes_the_announced_bytes_once_and_nothing_else(
    client: httpx.AsyncClient, s3: httpx.AsyncClient, storage: Storage
) -> None:
    begun = await begin(client, 5)
    wanted = begun["put"]
    assert (await put(s3, wanted, b"12345678")).status_code == 403, "larger than announced"
    unmarked = {name: value for name, value in wanted["headers"].items() if "kadr" not in name}
    assert (await s3.put(wanted["url"], headers=unmarked, content=b"12345")).status_code == 403
    other = wanted["url"].replace(begun["upload_id"], "1" * 36)
    assert (await s3.put(other, headers=wanted["headers"], content=b"12345")).status_code == 403
    assert (await s3.get(wanted["url"])).status_code == 403
    assert (await s3.delete(wanted["url"])).status_code == 403
    assert await storage.stat("videos", begun["object"]) is None
    assert (await put(s3, wanted, b"12345")).status_code == 200
    assert (await put(s3, wanted, b"54321")).status_code == 412, "written once"
    assert (await complete(client, begun)).status_code == 200
    assert (await put(s3, wanted, b"54321")).status_code == 412, "also when it is a video"
    assert await storage.get("videos", begun["object"]) == b"12345"


async def test_what_has_another_size_all_the_same_is_refused_and_removed(
    client: httpx.AsyncClient, storage: Storage, outbox: VideoOutbox
) -> None:
    begun = await begin(client, 5)
    # As a server might accept it that checks fewer headers.
    await storage.put("videos", begun["object"], b"123456", content_type="video/mp4", metadata=OURS)
    answer = await complete(client, begun)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"] == "size was announced as 5 bytes, and 6 have arrived"
    assert await storage.stat("videos", begun["object"]) is None
    assert (await complete(client, begun)).status_code == 404
    assert not await outbox.is_known(begun["video_id"])


async def test_an_object_without_our_mark_is_refused(client: httpx.AsyncClient, storage: Storage) -> None:
    begun = await begin(client, 5)
    await storage.put("videos", begun["object"], b"12345", content_type="video/mp4")
    assert (await complete(client, begun)).status_code == 422


async def test_an_aborted_upload_leaves_nothing(
    client: httpx.AsyncClient, s3: httpx.AsyncClient, storage: Storage
) -> None:
    single, parts = await begin(client, 5), await begin(client, SIZE)
    await put(s3, single["put"], b"12345")
    await put(s3, parts["parts"][0], bytes(16 * MIB))
    for begun in (single, parts):
        path = f"/api/uploads/{begun['upload_id']}"
        assert (await client.delete(path)).status_code == 204
        assert (await client.delete(path)).status_code == 404
        assert (await complete(client, begun)).status_code == 404
    await nothing_is_left(storage, single, parts)
    assert (await put(s3, parts["parts"][1], bytes(16 * MIB))).status_code == 404


async def test_what_is_never_completed_is_gone_a_day_later_and_not_before(
    client: httpx.AsyncClient, s3: httpx.AsyncClient, storage: Storage, mongo: Mongo, outbox: VideoOutbox
) -> None:
    single, parts, silent = await begin(client, 5), await begin(client, SIZE), await begin(client, SIZE)
    await put(s3, single["put"], b"12345")
    await put(s3, parts["parts"][0], bytes(16 * MIB))

    async def expire(later: timedelta) -> DirectUploads:
        uploads = DirectUploads(mongo.collection(DATABASE, "uploads"), now=clock_ahead(later))
        await direct.expire(direct=uploads, outbox=outbox, storage=storage)
        return uploads

    uploads = await expire(timedelta(hours=23, minutes=59))
    assert await uploads.get(single["upload_id"])
    assert await storage.stat("videos", single["object"])
    uploads = await expire(timedelta(hours=24, minutes=1))
    assert not await uploads.expired(limit=10)
    await nothing_is_left(storage, single, parts, silent)
    assert (await complete(client, single)).status_code == 404


async def nothing_is_left(storage: Storage, *begun: dict[str, Any]) -> None:
    unfinished = {key.name for key in await storage._s3.unfinished_uploads("videos", "input/")}
    for each in begun:
        assert await storage.stat("videos", each["object"]) is None
        assert each["object"] not in unfinished


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "size"),
        ({"size": 0}, "size"),
        ({"size": -1}, "size"),
        ({"size": 6 << 40}, "size"),
        ({"size": 5, "bucket": "secret"}, "bucket"),
        ({"size": 5, "url": "http://a/b"}, "url"),
        ({"size": 5, "filename": "x" * 2000}, "filename"),
    ],
)
async def test_what_cannot_be_begun_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await client.post("/api/uploads", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


async def test_a_file_larger_than_an_upload_may_be_is_refused_before_it_begins(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post("/api/uploads", json={"size": 64 * MIB + 1})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_parts_that_are_none_are_refused(client: httpx.AsyncClient, s3: httpx.AsyncClient) -> None:
    single, parts = await begin(client, 5), await begin(client, SIZE)
    for begun, first in ((single, 1), (parts, 4), (parts, 0)):
        answer = await client.post(f"/api/uploads/{begun['upload_id']}/parts", json={"first": first})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "first"
    await put(s3, single["put"], b"12345")
    answer = await complete(client, single, parts=[{"number": 1, "etag": "x"}])
    assert answer.status_code == 422
    assert (await complete(client, single)).status_code == 200


def test_there_are_never_more_parts_than_s3_takes() -> None:
    for size in (17 << 20, 20 << 30, 156_250 << 20, (156_250 << 20) + 1, 5 << 40):
        part = direct.part_size_of(size)
        assert 16 * MIB <= part <= 5 << 30
        assert -(-size // part) <= 10_000
        assert part % MIB == 0


@pytest.mark.parametrize("place", ["direct.assembled", "direct.accepted"])
@pytest.mark.parametrize("size", [pytest.param(5, marks=pytest.mark.long), 17 * MIB])
async def test_who_dies_while_completing_completes_it_the_next_time(
    servers: Settings,
    tmp_path: Path,
    s3: httpx.AsyncClient,
    outbox: VideoOutbox,
    *,
    place: str,
    size: int,
) -> None:
    given = {"FAILPOINTS": str(tmp_path)}
    data = os.urandom(size)
    with open_api(servers, tmp_path / "log", given=given) as dying:
        async with httpx.AsyncClient(base_url=dying.url, timeout=60, trust_env=False) as client:
            begun = await begin(client, size)
            if size > 16 * MIB:
                await send_parts(s3, begun, data)
            else:
                await put(s3, begun["put"], data)
            armed = tmp_path / f"{place}.json"
            armed.write_text(json.dumps({"action": "kill", "subject": begun["upload_id"]}))
            with pytest.raises(httpx.TransportError):
                await complete(client, begun)
        assert (tmp_path / f"{place}.hits").exists()
    assert await outbox.is_known(begun["video_id"]) == (place == "direct.accepted")
    with open_api(servers, tmp_path / "log", given=given) as again:
        async with httpx.AsyncClient(base_url=again.url, timeout=60, trust_env=False) as client:
            for _ in range(2):
                answer = await complete(client, begun)
                assert answer.json() == {"status": "ok", "event_id": begun["video_id"]}
    assert await outbox.get(begun["video_id"])


async def test_who_dies_before_an_upload_is_recorded_leaves_it_to_the_sweep(
    servers: Settings, tmp_path: Path, mongo: Mongo, storage: Storage, s3: httpx.AsyncClient
) -> None:
    outbox = video_outbox(mongo, servers)
    before = {key.name for key in await storage._s3.unfinished_uploads("videos", "input/")}
    with open_api(servers, tmp_path / "log", given={"FAILPOINTS": str(tmp_path)}) as dying:
        (tmp_path / "direct.begun.json").write_text(json.dumps({"action": "kill"}))
        with pytest.raises(httpx.TransportError):
            await s3.post(f"{dying.url}/api/uploads", json={"size": SIZE})
    begun = {key.name for key in await storage._s3.unfinished_uploads("videos", "input/")} - before
    assert len(begun) == 1
    for later, is_left in ((timedelta(hours=23), True), (timedelta(hours=25), False)):
        sweeps = Sweeps(
            storage,
            outbox,
            buckets=["videos"],
            deliveries=webhook_deliveries(mongo),
            now=clock_ahead(later),
        )
        await sweeps.remove_orphans()
        left = {key.name for key in await storage._s3.unfinished_uploads("videos", "input/")}
        assert (begun <= left) is is_left


async def test_who_dies_after_accepting_and_is_never_asked_again_loses_nothing(
    mongo: Mongo, outbox: VideoOutbox, storage: Storage, client: httpx.AsyncClient, s3: httpx.AsyncClient
) -> None:
    begun = await begin(client, 5)
    await put(s3, begun["put"], b"12345")
    video_id = begun["video_id"]
    await outbox.accept(video_id=video_id, bucket="videos", object_name=begun["object"], input_owned=True)
    late = DirectUploads(mongo.collection(DATABASE, "uploads"), now=clock_ahead(timedelta(hours=25)))
    await direct.expire(direct=late, outbox=outbox, storage=storage)
    assert await storage.get("videos", begun["object"]) == b"12345"
    assert await outbox.get(video_id)


async def key(mongo: Mongo, *scopes: Scope, quotas: Quotas | None = None) -> dict[str, str]:
    return {"X-API-Key": (await api_keys(mongo).create("test", scopes, quotas or Quotas()))[1]}


async def test_a_foreign_key_finds_no_upload(client: httpx.AsyncClient, mongo: Mongo) -> None:
    mine, theirs = await key(mongo, "submit"), await key(mongo, "submit")
    begun = (await client.post("/api/uploads", json={"size": SIZE}, headers=mine)).json()
    path = f"/api/uploads/{begun['upload_id']}"
    for headers, status in ((theirs, 404), (mine, 200)):
        answer = await client.post(f"{path}/parts", json={"first": 1}, headers=headers)
        assert answer.status_code == status
    assert (await client.post(f"{path}/complete", headers=theirs)).status_code == 404
    assert (await client.delete(path, headers=theirs)).status_code == 404
    assert (await client.post(f"{path}/complete", headers=mine)).status_code == 409
    assert (await client.delete(path, headers=mine)).status_code == 204


async def test_a_video_is_charged_to_its_key_when_it_is_completed(
    client: httpx.AsyncClient, s3: httpx.AsyncClient, mongo: Mongo, outbox: VideoOutbox
) -> None:
    headers = await key(mongo, "submit", quotas=Quotas(max_waiting=2, bytes_per_day=10))
    client.headers.update(headers)
    first, second = await begin(client, 4), await begin(client, 6)
    for size in (1, 11):
        refused = await client.post("/api/uploads", json={"size": size})
        assert (refused.status_code, refused.json()["code"]) == (429, "over_quota")
        assert int(refused.headers["retry-after"]) >= 1
    await put(s3, first["put"], b"1234")
    for _ in range(2):
        assert (await complete(client, first)).status_code == 200
    files = {"file": ("a.mp4", b"1234567")}
    assert (await client.post("/api/upload_video", files=files)).status_code == 429, "one byte too much"
    files = {"file": ("a.mp4", b"1")}
    assert (await client.post("/api/upload_video", files=files)).status_code == 200
    await put(s3, second["put"], b"123456")
    refused = await complete(client, second)
    assert refused.status_code == 429, "both places are taken"
    video = await outbox.get(first["video_id"])
    assert video is not None
    assert video.owner == headers["X-API-Key"].split("_")[1]
    assert await client.delete(f"/api/uploads/{second['upload_id']}")

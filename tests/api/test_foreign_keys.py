"""What a key sees of others: nothing, whatever it asks; on real servers, over every route that there is."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest

from api.access.key_ring import CACHED_FOR
from api.access.keys import OPEN
from app.clients.main_db.api_keys import ApiKeys, api_keys
from app.clients.main_db.video_outbox import VideoOutbox
from app.clients.mongo import Mongo
from app.clients.s3.storage import Storage
from app.domain.api_keys import SCOPES, Quotas, Scope
from app.domain.objects import (
    OURS,
    detection_object,
    failed_object,
    input_object,
)
from app.settings import Settings
from tests.support.api_process import ApiProcess, open_api

pytestmark = pytest.mark.servers

OF_A_VIDEO = frozenset({"video_id", "event_id"})
OF_AN_UPLOAD = frozenset({"upload_id"})
OF_A_MESSAGE = frozenset({"delivery_id"})
OF_A_FRAME = frozenset({"number"})
"""Path parameters, by what they name. A route with another one has to be added here."""

BODIES: dict[str, dict[str, object]] = {
    "/api/request": {"bucket": "videos", "object": "input/{video}.mp4"},
    "/api/v1/videos": {"bucket": "videos", "object": "input/{video}.mp4"},
    "/api/uploads": {"size": 5},
    "/api/uploads/{upload_id}/parts": {"first": 1},
    "/api/uploads/{upload_id}/complete": {},
}
"""What is sent in JSON, by path; a new route that takes a body has to be added here."""

WHOLE = frozenset(
    {
        *("/api/upload_video", "/api/uploads", "/api/status/all", "/api/cleanup/all", "/api/v1/videos"),
        *("/api/v1/webhooks/deliveries", "/api/v1/webhooks/secret"),
    }
)
"""Calls that name nobody's video: there is nothing to be unknown."""


@pytest.fixture(scope="module")
def running(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    log = tmp_path_factory.mktemp("api") / "log"
    with open_api(servers, log, given={"API_KEYS": "required"}) as found:
        yield found


@dataclass
class Client:
    """Somebody with a key."""

    http: httpx.AsyncClient
    key: str
    keys: ApiKeys

    async def ask(self, method: str, path: str, **more: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return await self.http.request(method, path, headers=headers, **more)  # type: ignore[arg-type]

    async def upload(self, data: bytes = b"not a video") -> str:
        answer = await self.ask("POST", "/api/upload_video", files={"file": ("a.mp4", data)})
        assert answer.status_code == 200, answer.text
        video_id: str = answer.json()["event_id"]
        return video_id


@pytest.fixture
async def http(running: ApiProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=running.url, timeout=30, trust_env=False) as opened:
        yield opened


async def client(mongo: Mongo, http: httpx.AsyncClient, *scopes: Scope) -> Client:
    keys = api_keys(mongo)
    _, key = await keys.create("test", scopes, Quotas())
    return Client(http, key, keys)


OF_EVERYBODY = frozenset({"/api/v1/session"})
"""Calls for every key, whatever it is for; they name nothing but the key itself."""


async def operations(http: httpx.AsyncClient) -> list[tuple[str, str, Scope]]:
    """Every call but those that need no key: method, path with its parameters, scope."""
    document = (await http.get("/openapi.json")).json()
    found = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if path not in OPEN | OF_EVERYBODY:
                scopes = {scope for each in operation["security"] for some in each.values() for scope in some}
                (scope,) = scopes
                found.append((method.upper(), path, scope))
    assert len(found) >= 9
    return found


def filled(path: str, *, video: str, upload: str) -> str:
    """A path with the ids of somebody else."""

    def value(found: re.Match[str]) -> str:
        if found[1] in OF_A_VIDEO:
            return video
        if found[1] in OF_AN_UPLOAD:
            return upload
        if found[1] in OF_A_MESSAGE:
            return "msg_1"
        if found[1] in OF_A_FRAME:
            return "0"
        pytest.fail(f"{path}: what is {found[1]}? Say so in this test")

    return re.sub(r"\{(\w+)\}", value, path)


def request_of(path: str, *, video: str) -> dict[str, object]:
    """What else a call needs to be a good one."""
    if path == "/api/upload_video":
        return {"files": {"file": ("a.mp4", b"x")}}
    if path in BODIES:
        body = BODIES[path]
        return {
            "json": {
                name: str(v).format(video=video) if isinstance(v, str) else v for name, v in body.items()
            }
        }
    return {}


async def test_every_route_treats_what_belongs_to_another_key_as_unknown(
    mongo: Mongo, http: httpx.AsyncClient, storage: Storage, outbox: VideoOutbox
) -> None:
    owner = await client(mongo, http, "submit", "read", "delete")
    stranger = await client(mongo, http, "submit", "read", "delete")
    videos = {"new": await owner.upload(), "ready": await owner.upload(), "failed": await owner.upload()}
    for name in (detection_object(videos["ready"]), failed_object(videos["failed"])):
        await storage.put("videos", name, b'{"status":"x"}', content_type="application/json", metadata=OURS)
    begun = await owner.ask("POST", "/api/uploads", json={"size": 40 << 20})
    upload = begun.json()["upload_id"]

    nobody = str(uuid4())
    for method, path, scope in await operations(http):
        if scope == "admin" or path in WHOLE:
            continue
        assert "{" in path or path in BODIES, f"{method} {path}: what does it name? Say so in this test"
        for video in videos.values():
            more = request_of(path, video=video)
            answer = await stranger.ask(method, filled(path, video=video, upload=upload), **more)
            unknown = await stranger.ask(
                method, filled(path, video=nobody, upload=nobody), **request_of(path, video=nobody)
            )
            assert (answer.status_code, unknown.status_code) == (404, 404), f"{method} {path}: {answer.text}"
            theirs = answer.text.replace(video, "ID").replace(upload, "ID")
            assert theirs == unknown.text.replace(nobody, "ID"), f"{method} {path}"

    for video in videos.values():
        assert await outbox.get(video), "it is still there"
        assert (await owner.ask("GET", f"/api/result_video/{video}")).status_code == 200
    assert (await owner.ask("DELETE", f"/api/uploads/{upload}")).status_code == 204


async def test_every_route_refuses_who_has_no_key_and_whose_key_is_for_something_else(
    mongo: Mongo, http: httpx.AsyncClient
) -> None:
    nobody = Client(http, "", api_keys(mongo))
    unknown = str(uuid4())
    for method, path, scope in await operations(http):
        others = [each for each in SCOPES if each not in {scope, "admin"}]
        weak = await client(mongo, http, *others)
        more = request_of(path, video=unknown)
        where = filled(path, video=unknown, upload=unknown)
        assert (await nobody.ask(method, where, **more)).status_code == 401, f"{method} {path}"
        refused = await weak.ask(method, where, **more)
        assert refused.status_code == 403, f"{method} {path}: {refused.text}"
        assert refused.headers["content-type"] == "application/problem+json"
        assert scope in refused.json()["detail"]


async def test_the_list_and_its_total_are_those_of_the_key(mongo: Mongo, http: httpx.AsyncClient) -> None:
    one, other = [await client(mongo, http, "submit", "read") for _ in range(2)]
    mine = [await one.upload() for _ in range(3)]
    theirs = await other.upload()
    found = (await one.ask("GET", "/api/status/all")).json()
    assert [each["video_id"] for each in found["operations"]] == mine[::-1]
    assert found["total"] == 3
    page = (await one.ask("GET", "/api/status/all", params={"limit": 2})).json()
    rest = await one.ask("GET", "/api/status/all", params={"limit": 2, "cursor": page["next_cursor"]})
    assert [each["video_id"] for each in rest.json()["operations"]] == mine[:1]
    stolen = await other.ask("GET", "/api/status/all", params={"cursor": page["next_cursor"]})
    assert not {each["video_id"] for each in stolen.json()["operations"]} & set(mine)

    admin = await client(mongo, http, "admin")
    seen = {each["video_id"] for each in (await admin.ask("GET", "/api/status/all")).json()["operations"]}
    assert {*mine, theirs} <= seen


async def test_a_video_without_an_owner_is_there_for_an_admin_only(
    mongo: Mongo, http: httpx.AsyncClient, outbox: VideoOutbox
) -> None:
    video = str(uuid4())
    await outbox.accept(video_id=video, bucket="videos", object_name=input_object(video), input_owned=True)
    path = f"/api/result_video/{video}"
    assert (await (await client(mongo, http, "read")).ask("GET", path)).status_code == 404
    assert (await (await client(mongo, http, "admin")).ask("GET", path)).status_code == 200


async def test_a_key_may_ask_again_for_its_own_upload_and_for_what_kadr_did_not_write(
    mongo: Mongo, http: httpx.AsyncClient, storage: Storage
) -> None:
    one, other = [await client(mongo, http, "submit", "read") for _ in range(2)]
    video = await one.upload()
    await storage.put("videos", "archive/a.mp4", b"x", content_type="video/mp4")
    for name, statuses in ((input_object(video), (200, 404)), ("archive/a.mp4", (200, 200))):
        asked = {"json": {"bucket": "videos", "object": name}}
        assert tuple(
            [(await each.ask("POST", "/api/request", **asked)).status_code for each in (one, other)]
        ) == (statuses)


async def test_what_lies_in_s3_is_the_same_with_a_key(
    mongo: Mongo, http: httpx.AsyncClient, storage: Storage, outbox: VideoOutbox
) -> None:
    one = await client(mongo, http, "submit")
    video = await one.upload(b"bytes")
    facts = await storage.stat("videos", input_object(video))
    assert facts is not None
    assert dict(facts.metadata) == {**OURS, "filename": "a.mp4"}
    (claimed,) = [each for each in await outbox.claims.take(limit=10_000) if each.key == video]
    assert one.key.split("_")[1] not in repr(claimed.asked)


async def test_a_revoked_key_is_refused_within_seconds(mongo: Mongo, http: httpx.AsyncClient) -> None:
    one = await client(mongo, http, "read")
    assert (await one.ask("GET", "/api/status/all")).status_code == 200
    assert await one.keys.revoke(one.key.split("_")[1])
    begun = time.monotonic()
    while (await one.ask("GET", "/api/status/all")).status_code != 401:
        assert time.monotonic() < begun + CACHED_FOR + 1
        await asyncio.sleep(0.05)

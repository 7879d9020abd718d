"""Webhooks of a running API, on real servers: what arrives, what is listed, and what signs it."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from api.intake.webhook_url import check_receiver
from api.problems import Invalid
from app.clients.main_db.api_keys import api_keys
from app.clients.main_db.video_outbox import VideoOutbox
from app.clients.mongo import Documents, Mongo
from app.clients.s3.storage import Storage
from app.domain.api_keys import Quotas
from app.domain.objects import (
    OURS,
)
from app.settings import Settings
from tests.support.api_process import ApiProcess, open_api
from tests.support.local_receiver import OK, WHSEC, answer, open_receiver
from tests.support.told_videos import (
    GIVEN,
    WITHIN,
    accept,
    arrived,
    finish,
    send_all,
    verify,
    wait_for,
)
from tests.support.webhook_example import open_example

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def running(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with open_api(servers, tmp_path_factory.mktemp("api") / "log", given=GIVEN) as found:
        yield found


@asynccontextmanager
async def client_of(api: ApiProcess, key: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(base_url=api.url, headers=headers, timeout=30, trust_env=False) as opened:
        yield opened


@pytest.fixture
def kept(mongo: Mongo) -> Documents:
    return mongo.collection("main_db", "webhook_deliveries")


async def test_who_submitted_a_video_is_told_of_its_result_with_a_signature(
    running: ApiProcess, outbox: VideoOutbox, storage: Storage
) -> None:
    async with open_receiver() as receiver, client_of(running) as client:
        video_id = await accept(outbox, receiver.url)
        await finish(storage, video_id)
        (got,) = await arrived(receiver)
        message = verify(got)
        assert (message["type"], message["data"]["id"]) == ("video.ready", video_id)
        assert (await client.get(message["data"]["links"]["result"])).json() == {"status": "ready"}

        async def delivered() -> Any:  # noqa: ANN401 - of the answer
            (found,) = (await client.get(message["data"]["links"]["deliveries"])).json()["deliveries"]
            return found if found["status"] == "delivered" else None

        found = await wait_for(delivered)
    assert (found["id"], found["url"]) == (got.headers["webhook-id"], receiver.url)
    assert (found["next_try_at"], found["is_trying"]) == (None, False)
    assert [(each["status"], each["response"]) for each in found["tries"]] == [(200, "ok")]


@pytest.mark.usefixtures("running")
async def test_the_program_that_the_documents_show_receives_messages_and_only_signed_ones(
    outbox: VideoOutbox, storage: Storage
) -> None:
    async with open_example(WHSEC) as example:
        video_id = await accept(outbox, example.url)
        async with httpx.AsyncClient(trust_env=False) as forger:
            forged = {"webhook-id": "msg_1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
            assert (await forger.post(example.url, content=b"{}", headers=forged)).status_code == 401
        await finish(storage, video_id)
        assert await example.line(WITHIN) == f"video.ready {video_id}"


async def test_a_message_is_delivered_again_on_request_as_the_same_event(
    running: ApiProcess, outbox: VideoOutbox, storage: Storage
) -> None:
    async with open_receiver(answer("410 Gone"), OK) as receiver, client_of(running) as client:
        video_id = await accept(outbox, receiver.url)
        await finish(storage, video_id)
        path = f"/api/v1/videos/{video_id}/deliveries"

        async def in_state(state: str) -> Any:  # noqa: ANN401 - of the answer
            found = (await client.get(path)).json()["deliveries"]
            return found[0] if found and found[0]["status"] == state else None

        failed = await wait_for(lambda: in_state("failed"))
        listed = (await client.get("/api/v1/webhooks/deliveries")).json()["deliveries"]
        assert failed["id"] in {each["id"] for each in listed}
        again = await client.post(f"{path}/{failed['id']}/redeliver")
        assert (again.status_code, again.json()["status"]) == (202, "waiting")
        found = await wait_for(lambda: in_state("delivered"))
        unknown = await client.post(f"{path}/msg_0/redeliver")
    assert [each["status"] for each in found["tries"]] == [410, 200]
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1
    assert len({each.body for each in receiver.received}) == 1
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


async def test_while_a_message_is_posted_it_cannot_be_asked_for_again(
    running: ApiProcess, outbox: VideoOutbox, storage: Storage
) -> None:
    async with open_receiver(None) as receiver, client_of(running) as client:
        video_id = await accept(outbox, receiver.url)
        await finish(storage, video_id)
        (got,) = await arrived(receiver)
        path = f"/api/v1/videos/{video_id}/deliveries"
        (found,) = (await client.get(path)).json()["deliveries"]
        assert (found["is_trying"], found["next_try_at"]) == (True, None)
        refused = await client.post(f"{path}/{got.headers['webhook-id']}/redeliver")
    assert (refused.status_code, refused.json()["code"]) == (409, "under_way")


async def test_each_key_has_a_secret_of_its_own_that_signs_for_its_videos(
    running: ApiProcess, mongo: Mongo, outbox: VideoOutbox, storage: Storage
) -> None:
    one, other = [await api_keys(mongo).create("test", ["submit", "read"], Quotas()) for _ in range(2)]
    async with open_receiver() as receiver:
        await finish(storage, await accept(outbox, receiver.url, owner=one[0].id))
        (got,) = await arrived(receiver)
    secrets = []
    for _, text in (one, other):
        async with client_of(running, text) as client:
            secrets += (await client.get("/api/v1/webhooks/secret")).json()["secrets"]
    assert verify(got, secrets[0])["type"] == "video.ready"
    for wrong in (secrets[1], WHSEC):
        with pytest.raises(WebhookVerificationError):
            verify(got, wrong)
    async with client_of(running) as client:
        answered = await client.get("/api/v1/webhooks/secret")
    assert answered.status_code == 404
    assert WHSEC not in answered.text


async def test_a_url_of_the_operator_is_told_of_what_names_none(
    servers: Settings, tmp_path: Path, outbox: VideoOutbox, storage: Storage
) -> None:
    async with open_receiver() as receiver, open_receiver() as own:
        with open_api(servers, tmp_path / "log", given=GIVEN | {"WEBHOOK_URL": receiver.url}) as api:
            async with client_of(api) as client:
                sent = await client.post("/api/upload_video", files={"file": ("a.mp4", b"x")})
            uploaded = sent.json()["event_id"]
            await send_all(outbox)
            other = await accept(outbox, own.url)
            for each in (uploaded, other):
                await finish(storage, each)
            (got,), (theirs,) = await arrived(receiver), await arrived(own)
    assert verify(got)["data"]["id"] == uploaded
    assert verify(got)["data"]["filename"] == "a.mp4"
    assert verify(theirs)["data"]["id"] == other


async def test_a_deleted_video_takes_its_deliveries_with_it(
    running: ApiProcess, outbox: VideoOutbox, storage: Storage, kept: Documents
) -> None:
    async with open_receiver() as receiver, client_of(running) as client:
        video_id = await accept(outbox, receiver.url)
        await finish(storage, video_id)
        await wait_for(lambda: kept.find_one({"video_id": video_id, "state": "delivered"}))
        assert (await client.delete(f"/api/v1/videos/{video_id}")).status_code == 204
        assert (await client.get(f"/api/v1/videos/{video_id}/deliveries")).status_code == 404
        await storage.put("videos", f"deleted/{video_id}", b"", content_type="text/plain", metadata=OURS)

        async def is_gone() -> bool:
            return await kept.find_one({"video_id": video_id}) is None

        await wait_for(is_gone)
    assert len(receiver.received) == 1


def test_a_webhook_that_cannot_be_is_refused_when_it_is_given(servers: Settings) -> None:
    with pytest.raises(Invalid, match="WEBHOOK_SECRET"):
        check_receiver("https://hooks.example.org/", servers)
    given = {"webhook_secret": WHSEC, "webhook_allowed_hosts": "10.0.0.0/8"}
    settings = Settings.model_validate(given)
    for url in ("https://hooks.example.org/a", "http://10.1.2.3:81/"):
        check_receiver(url, settings)
    for url in (
        "http://127.0.0.1/",
        "https://u:p@example.org/",
        "ftp://example.org/",
        "https://example.org:25/",
    ):
        with pytest.raises(Invalid) as caught:
            check_receiver(url, settings)
        assert caught.value.field == "webhook"


def test_nothing_but_the_one_place_for_it_ends_a_video() -> None:
    root = Path(__file__).parents[2]
    ending = [
        str(path.relative_to(root))
        for folder in ("app", "api", "agents", "tables")
        for path in (root / folder).rglob("*.py")
        if re.search(r"\"outcome_at\":(?!\s*(\"\"|None|{))", path.read_text(encoding="utf-8"))
    ]
    assert ending == ["app/clients/main_db/endings.py"]

"""`Idempotency-Key`: the same request makes one video, whatever happens in between; another makes none."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest

from app.clients.main_db.idempotency import KEPT_FOR, LEASE
from app.domain.api_keys import Quotas
from app.errors import Unavailable
from tests.api.conftest import Door
from tests.api.test_submit import PATH, RAW, post_raw
from tests.api.test_upload import CLIP, TYPE, form, is_nothing_left, part
from tests.support.memory_mongo import MemoryDocuments

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


async def submit(door: Door, body: Any = CLIP, query: str = "", **headers: str) -> httpx.Response:  # noqa: ANN401  # bytes or pieces of them
    return await post_raw(door, body, query, **KEY, **headers)


def documents(door: Door) -> dict[Any, dict[str, Any]]:
    """What is kept of keys."""
    keys = cast("MemoryDocuments", door.services.idempotency._keys)
    return keys.documents


async def begin_and_go_away(door: Door) -> None:
    """Send half of a video."""
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": CLIP, "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:  # noqa: ANN401  # ASGI
        sent.append(message)

    headers = [(name.lower().encode(), value.encode()) for name, value in (RAW | KEY).items()]
    scope = {"type": "http", "method": "POST", "path": PATH, "headers": headers, "query_string": b""}
    await door.api(scope, receive, send)
    assert sent[0]["status"] == 499


def is_reused(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")


async def test_the_same_request_gets_the_same_video(door: Door) -> None:
    first = await submit(door, content_disposition="attachment; filename=a.mp4")
    again = await submit(door, content_disposition="attachment; filename*=UTF-8''a.mp4")
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert first.headers["location"] == again.headers["location"]
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert list(door.videos.documents) == [first.json()["id"]]
    assert list(door.s3.objects("videos")) == [first.json()["object"]]
    assert door.waker.knocks == 1


async def test_a_form_and_a_body_with_the_same_video_are_the_same_request(door: Door) -> None:
    first = await door.client.post(
        PATH, content=form(part("conf", b".5"), part("file", CLIP)), headers=TYPE | KEY
    )
    later = await door.client.post(
        PATH, content=form(part("file", CLIP), part("conf", b"0.50")), headers=TYPE | KEY
    )
    raw = await submit(door, query="?conf=0.5")
    assert {first.json()["id"], later.json()["id"], raw.json()["id"]} == set(door.videos.documents)
    assert len(door.videos.documents) == 1


@pytest.mark.parametrize(
    ("body", "query", "headers"),
    [
        (CLIP[:-1] + b"x", "", {}),
        (CLIP + b"x", "", {}),
        (CLIP, "?conf=0.5", {}),
        (CLIP, "?tags=a", {}),
        (CLIP, "?webhook=http://a/", {}),
        (CLIP, "?bucket=archive", {}),
        (CLIP, "", {"content_disposition": "attachment; filename=b.mp4"}),
    ],
)
async def test_another_request_with_the_key_is_refused_and_leaves_nothing(
    door: Door, body: bytes, query: str, headers: dict[str, str]
) -> None:
    first = await submit(door)
    assert is_reused(await submit(door, body, query, **headers))
    assert list(door.videos.documents) == [first.json()["id"]]
    assert list(door.s3.objects("videos")) == [first.json()["object"]]
    assert not door.s3.objects("archive")
    assert not door.s3.uploads


async def test_a_stored_video_is_asked_for_once(door: Door) -> None:
    await door.put("a.mp4", CLIP)
    first, again, other, sent = [
        await door.client.post(PATH, json={"object": "a.mp4"}, headers=KEY),
        await door.client.post(PATH, json={"object": "a.mp4", "bucket": "videos"}, headers=KEY),
        await door.client.post(PATH, json={"object": "a.mp4", "iou": 0.5}, headers=KEY),
        await submit(door),
    ]
    assert first.json() == again.json()
    assert is_reused(other)
    assert is_reused(sent)
    assert len(door.videos.documents) == 1


async def test_quotes_around_a_key_are_no_part_of_it(door: Door) -> None:
    first = await submit(door)
    quoted = await post_raw(door, **{"Idempotency-Key": f'"{KEY["Idempotency-Key"]}"'})
    assert first.json() == quoted.json()


@pytest.mark.parametrize(
    "key", ["", '""', "a b", "x" * 256, "a\tb", '"a"b"', "ключ".encode().decode("latin-1")]
)
async def test_what_is_no_key_is_refused(door: Door, key: str) -> None:
    headers = httpx.Headers(list((RAW | {"Idempotency-Key": key}).items()), encoding="latin-1")
    answer = await door.client.post(PATH, content=CLIP, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert is_nothing_left(door)


async def test_while_the_first_request_is_under_way_the_others_are_told_to_wait(door: Door) -> None:
    is_begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield CLIP[:100]
        is_begun.set()
        await may_end.wait()
        yield CLIP[100:]

    read: list[bytes] = []

    async def unread() -> AsyncIterator[bytes]:
        read.append(CLIP)
        yield CLIP

    first = asyncio.create_task(submit(door, slow()))
    await is_begun.wait()
    waiting = await submit(door, unread())
    assert (waiting.status_code, waiting.json()["code"]) == (409, "idempotency_in_progress")
    assert int(waiting.headers["retry-after"]) > 0
    assert read == []
    may_end.set()
    assert (await submit(door)).json() == (await first).json()


async def test_each_api_key_has_keys_of_its_own(door: Door) -> None:
    ids = set()
    for name in ("a", "b"):
        _, text = await door.keys.create(name, ["submit"], Quotas())
        for _ in range(2):
            ids.add((await submit(door, authorization=f"Bearer {text}")).json()["id"])
    ids.add((await submit(door)).json()["id"])
    assert len(ids) == 3


async def test_what_fails_sets_the_key_free(door: Door) -> None:
    assert (await submit(door, query="?conf=7")).status_code == 422
    assert (await submit(door, b"")).status_code == 422
    assert (await submit(door, bytes(2 << 20))).status_code == 413
    await begin_and_go_away(door)
    door.set_away(s3=True)
    assert (await submit(door)).status_code == 503
    door.set_away()
    assert documents(door) == {}
    assert is_nothing_left(door)
    assert (await submit(door)).status_code == 202


async def test_a_request_that_is_over_its_quota_sets_the_key_free_and_a_replay_needs_none(door: Door) -> None:
    _, text = await door.keys.create("small", ["submit"], Quotas(max_waiting=1))
    mine = {"authorization": f"Bearer {text}"}
    first = await submit(door, **mine)
    assert first.status_code == 202
    assert (await submit(door, **mine)).json() == first.json()
    other = await post_raw(door, **(mine | {"Idempotency-Key": "another"}))
    assert other.status_code == 429
    assert len(documents(door)) == 1
    assert len(door.s3.objects("videos")) == 1


async def test_a_key_is_kept_for_seven_days(door: Door) -> None:
    first = await submit(door)
    door.clock.pass_by(KEPT_FOR - timedelta(seconds=1))
    assert (await submit(door)).json()["id"] == first.json()["id"]
    door.clock.pass_by(timedelta(seconds=1))
    later = await submit(door, query="?conf=0.5")
    assert later.status_code == 202
    assert later.json()["id"] != first.json()["id"]


async def test_a_deleted_video_does_not_come_back(door: Door) -> None:
    first = await submit(door)
    video_id = first.json()["id"]
    assert (await door.client.delete(f"{PATH}/{video_id}")).status_code == 204
    for _ in range(2):
        again = await submit(door)
        assert (again.status_code, again.json()["code"]) == (409, "video_deleted")
        await door.services.outbox.forget(video_id)
    assert door.videos.documents == {}


async def test_a_replay_says_how_far_the_video_is(door: Door) -> None:
    first = await submit(door)
    for claimed in await door.services.outbox.claims.take():
        await door.services.outbox.claims.mark_sent(claimed)
    await door.services.outbox.set_outcome(first.json()["id"], "ready", attempt=1, at=door.clock.now)
    assert (await submit(door)).json()["status"] == "ready"


# A process dies between two steps: what it leaves is what these make.


async def leave_without_document(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mongo goes away after the key was recorded and before the document was written."""

    async def away(**_: object) -> None:
        raise Unavailable("Mongo", "it went away")

    with monkeypatch.context() as patched:
        patched.setattr(door.services.outbox, "accept", away)
        assert (await submit(door)).status_code == 503
    assert door.videos.documents == {}
    assert len(door.s3.objects("videos")) == 1


async def test_a_crash_before_the_document_is_written_is_made_good_by_the_next_try(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await leave_without_document(door, monkeypatch)
    assert is_reused(await submit(door, query="?conf=0.5"))
    ids = {(await submit(door)).json()["id"] for _ in range(2)}
    assert ids == set(door.videos.documents)
    assert len(door.s3.objects("videos")) == 1
    assert door.waker.knocks == 1


async def test_a_crash_after_the_document_was_written_is_no_second_video(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("Mongo", "it went away")

    with monkeypatch.context() as patched:
        patched.setattr(door.services.idempotency, "settle", away)
        first = await submit(door)
    assert first.status_code == 202
    assert (await submit(door)).json() == first.json()
    await door.client.delete(f"{PATH}/{first.json()['id']}")
    await door.services.outbox.forget(first.json()["id"])
    assert (await submit(door)).status_code == 409, "it was settled by the second"


async def test_where_a_sweep_was_faster_than_the_next_try_the_key_is_free(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await leave_without_document(door, monkeypatch)
    (name,) = door.s3.objects("videos")
    await door.services.storage.delete("videos", name)
    assert (await submit(door)).json()["code"] == "idempotency_in_progress"
    assert (await submit(door)).status_code == 202
    assert len(door.videos.documents) == 1


async def test_a_process_that_was_away_for_longer_than_its_lease_makes_no_second_video(door: Door) -> None:
    is_begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield CLIP[:100]
        is_begun.set()
        await may_end.wait()
        yield CLIP[100:]

    away = asyncio.create_task(submit(door, slow()))
    await is_begun.wait()
    door.clock.pass_by(LEASE)
    second = await submit(door)
    assert second.status_code == 202
    may_end.set()
    assert (await away).json()["code"] == "idempotency_in_progress"
    assert list(door.videos.documents) == [second.json()["id"]]
    assert list(door.s3.objects("videos")) == [second.json()["object"]]


async def test_without_mongo_a_key_cannot_be_looked_up(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = cast("MemoryDocuments", door.services.idempotency._keys)
    monkeypatch.setattr(keys, "is_away", True)
    assert (await submit(door)).status_code == 503
    assert is_nothing_left(door)

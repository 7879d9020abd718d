"""Summaries and tracks: computed once, kept beside the result, gone with the video."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.clients.s3.calls import Headers
from app.domain.objects import (
    OURS,
)
from tests.api.conftest import Door
from tests.api.test_cleanup import put_long_ago
from tests.support.made_results import frames_of, result_of

VIDEO = str(uuid4())


async def make_ready(door: Door, data: bytes | None = None) -> None:
    await door.accept(VIDEO)
    await door.put(f"detection/{VIDEO}.json", data or await result_of(frames_of(300, objects=3)), **OURS)


async def ask(door: Door, what: str, **asked: object) -> httpx.Response:
    """The answer, after as many times 202 as it takes."""
    for _ in range(60):
        url = f"/api/v1/videos/{VIDEO}/{what}"
        answer = await door.client.get(url, params=asked)  # type: ignore[arg-type]
        if answer.status_code != 202:
            return answer
        assert int(answer.headers["retry-after"]) > 0
    pytest.fail("it is never computed")


def computed(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [vars(record)["what"] for record in caplog.records if record.message == "computed"]


async def test_a_summary_says_what_is_there_and_when(door: Door) -> None:
    await make_ready(door)
    found: dict[str, Any] = (await ask(door, "summary")).json()
    assert (found["event_id"], found["looked_at"], found["gap"]) == (VIDEO, 300, 1.0)
    car, person = found["classes"]
    assert (car["class"], car["detections"], car["frames"], car["most_at_once"]) == ("car", 600, 300, 2)
    assert (person["class"], person["detections"], person["first"], person["last"]) == (
        "person",
        300,
        0,
        59.8,
    )
    assert person["segments"] == [{"start": 0, "end": 59.8, "conf": 0.95}]


async def test_it_is_computed_once_whatever_the_gap(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    frames = [
        frame if n % 10 else type(frame)(frame.frame, frame.time) for n, frame in enumerate(frames_of(100))
    ]
    await make_ready(door, await result_of(frames))
    counts = {
        gap: len((await ask(door, "summary", gap=gap)).json()["classes"][0]["segments"])
        for gap in (0, 0.3, 0.5)
    }
    assert counts == {0: 10, 0.3: 10, 0.5: 1}
    assert computed(caplog) == ["summary"]


async def test_a_summary_may_be_of_some_classes(door: Door) -> None:
    await make_ready(door)
    found = (await ask(door, "summary", **{"class": ["person", "cat"]})).json()
    assert [each["class"] for each in found["classes"]] == ["person"]
    assert (await ask(door, "summary", **{"class": "cat"})).json()["classes"] == []


async def test_tracks_come_some_at_a_time(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    await make_ready(door)
    first = (await ask(door, "tracks", limit=2)).json()
    assert [each["track"] for each in first["tracks"]] == [1, 2]
    second = (await ask(door, "tracks", limit=2, cursor=first["next_cursor"])).json()
    assert second["tracks"][0]["track"] == 3
    people = (await ask(door, "tracks", **{"class": "person", "to": 1})).json()["tracks"]
    assert [each["class"] for each in people] == ["person"]
    assert computed(caplog) == ["tracked", "tracks"]


async def test_who_asks_while_it_is_computed_waits_for_the_same(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    await make_ready(door)
    answers = await asyncio.gather(*(ask(door, "summary") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert computed(caplog) == ["summary"]


async def test_another_result_is_computed_anew(door: Door) -> None:
    await make_ready(door)
    await ask(door, "summary")
    await door.put(f"detection/{VIDEO}.json", await result_of(frames_of(10, objects=3)), **OURS)
    assert (await ask(door, "summary")).json()["looked_at"] == 10


async def test_what_is_kept_is_marked_as_ours(door: Door) -> None:
    await make_ready(door)
    await ask(door, "summary")
    facts = await door.services.storage.stat("videos", f"derived/{VIDEO}/summary.v1.jsonl")
    assert facts is not None
    assert OURS.items() <= dict(facts.metadata).items()


async def test_of_a_video_that_is_deleted_meanwhile_nothing_is_left(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_ready(door)
    put = door.s3.put

    async def then_deleted(bucket: str, name: str, data: bytes, headers: Headers) -> None:
        await put(bucket, name, data, headers)
        await door.client.delete(f"/api/v1/videos/{VIDEO}")

    monkeypatch.setattr(door.s3, "put", then_deleted)
    assert (await ask(door, "summary")).status_code == 404
    assert not [name for name in door.s3.objects("videos") if name.startswith("derived/")]


async def test_what_cannot_be_computed_leaves_nothing_and_is_not_tried_at_once_again(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    data = await result_of(frames_of(300))
    await make_ready(door, data[:-100])
    for _ in range(3):
        answer = await ask(door, "summary")
        assert (answer.status_code, answer.json()["code"]) == (500, "export_failed")
    assert len([record for record in caplog.records if record.message == "not computed"]) == 1
    assert set(door.s3.objects("videos")) == {f"detection/{VIDEO}.json"}
    assert door.s3.uploads == {}


async def test_an_api_that_ends_ends_what_it_computes(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_ready(door, await result_of(frames_of(20_000, objects=5)))
    monkeypatch.setattr("api.results.derived.WITHIN", 0.0)
    assert (await door.client.get(f"/api/v1/videos/{VIDEO}/tracks")).status_code == 202
    await door.services.derivations.finish()
    assert door.s3.opened == set()


async def test_what_was_made_from_a_video_that_nobody_knows_is_swept(door: Door) -> None:
    names = [f"derived/{VIDEO}/{name}" for name in ("summary.v1.jsonl", "tracked.v1.json", "later.v7.bin")]
    await put_long_ago(door, *names, **OURS)
    await put_long_ago(door, f"derived/{uuid4()}/a", "derived/notes.txt")
    await door.sweeps.remove_orphans()
    assert len(door.s3.objects("videos")) == 2
    assert not [name for name in names if name in door.s3.objects("videos")]

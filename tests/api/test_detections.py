"""What was found, a page at a time and as a file."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.results import row_pages
from app.domain.documents import failed_document
from app.domain.failures import failure
from app.domain.messages import Detection, FrameResult
from app.domain.objects import (
    OURS,
)
from tests.api.conftest import Door
from tests.support.made_results import frames_of, result_of, undecodable

FRAMES = [*frames_of(220), undecodable(220)]
URL = "/api/v1/videos/a/detections"


@pytest.fixture
async def ready(door: Door) -> AsyncIterator[Door]:
    """A video that is ready."""
    await door.services.outbox.accept(
        video_id="a", bucket="videos", object_name="x", input_owned=False, filename="street.mp4"
    )
    await door.put("detection/a.json", await result_of(FRAMES), **OURS)
    yield door
    assert door.s3.opened == set()


async def pages(door: Door, **asked: str | float) -> list[dict[str, Any]]:
    """Every page, until the last one says that it is."""
    found: list[dict[str, Any]] = []
    while not found or "next_cursor" in found[-1]:
        more = {"cursor": found[-1]["next_cursor"]} if found else {}
        answer = await door.client.get(URL, params={**asked, **more})
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
    return found


async def test_pages_together_are_the_result(ready: Door) -> None:
    found = await pages(ready, limit=100)
    assert [len(page["prediction"]) for page in found] == [100, 100, 21]
    whole = json.loads(await result_of(FRAMES))
    assert [row for page in found for row in page["prediction"]] == whole["prediction"]
    assert {key: found[1][key] for key in whole if key != "prediction"} == {
        key: whole[key] for key in whole if key != "prediction"
    }


async def test_a_page_of_a_hundred_frames_is_what_a_client_gets_who_asks_for_nothing(ready: Door) -> None:
    answer = await ready.client.get(URL)
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.json()["prediction"]) == 100


async def test_filters_leave_only_what_is_asked_for(ready: Door) -> None:
    asked: dict[str, str | float] = {"class": "car", "min_conf": 0.9, "from": 1, "to": 3, "limit": 3}
    found = await pages(ready, **asked)
    rows = [row for page in found for row in page["prediction"]]
    wanted = [
        {"frame": frame.frame, "conf": each.conf}
        for frame in FRAMES[5:15]
        for each in frame.objects
        if each.class_ == "car" and each.conf >= 0.9
    ]
    assert [
        {"frame": row["frame"], "conf": each["conf"]} for row in rows for each in row["objects"]
    ] == wanted
    assert all(row["objects"] for row in rows)


async def test_several_classes_may_be_asked_for(ready: Door) -> None:
    await ready.put(
        "detection/a.json",
        await result_of(
            [FrameResult(0, 0.0, [Detection(name, (0, 0, 1, 1), 0.5) for name in ("a", "b", "c")])]
        ),
    )
    answer = await ready.client.get(URL, params=[("class", "a"), ("class", "c")])
    assert [each["class"] for each in answer.json()["prediction"][0]["objects"]] == ["a", "c"]


async def test_a_page_looks_at_a_bounded_part_and_the_next_one_goes_on(
    ready: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_pages, "SCANNED", 2000)
    found = await pages(ready, **{"class": "nothing of that name"})
    assert len(found) > 10
    assert [row for page in found for row in page["prediction"]] == []


@pytest.mark.parametrize("seconds", [0.1, 10.0, 33.3, 43.7])
async def test_a_span_is_found_without_reading_what_is_before(
    ready: Door, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr("api.results.stored.WINDOW", 600)
    answer = await ready.client.get(URL, params={"from": seconds, "limit": 1})
    (row,) = answer.json()["prediction"]
    assert row["time"] == pytest.approx(-(-seconds // 0.2) * 0.2)


@pytest.mark.parametrize("cursor", ["x", "%00", "W10", "WzUwLDAsMV0", "LTE", "e30"])
async def test_a_cursor_that_no_answer_has_given_is_refused(ready: Door, cursor: str) -> None:
    answer = await ready.client.get(URL, params={"cursor": cursor})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cursor")


async def test_a_cursor_into_the_middle_of_a_row_is_refused(ready: Door) -> None:
    size = len(await result_of(FRAMES))
    cursor = base64.urlsafe_b64encode(json.dumps([size // 2, 5, size]).encode()).decode()
    assert (await ready.client.get(URL, params={"cursor": cursor})).status_code == 422


@pytest.mark.parametrize(
    ("name", "media_type", "filename"),
    [
        ("json", "application/json", "street.json"),
        ("jsonl", "application/x-ndjson", "street.jsonl"),
        ("csv", "text/csv; charset=utf-8; header=present", "street.csv"),
        ("coco", "application/json", "street.coco.json"),
        ("yolo", "application/zip", "street.yolo.zip"),
        ("vtt", "text/vtt; charset=utf-8", "street.vtt"),
        ("parquet", "application/vnd.apache.parquet", "street.parquet"),
    ],
)
async def test_each_form_comes_as_a_file(ready: Door, name: str, media_type: str, filename: str) -> None:
    answer = await ready.client.get(URL, params={"format": name, "limit": 0})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-disposition"] == f'attachment; filename="{filename}"'
    assert answer.headers["vary"] == "Accept"
    assert answer.content
    by_type = await ready.client.get(URL, params={"limit": 0}, headers={"Accept": media_type})
    if name != "coco":
        assert by_type.content == answer.content
    if name == "json":
        assert answer.content == await result_of(FRAMES)


async def test_mot_is_of_tracks_and_answers_202_until_they_are_there(ready: Door) -> None:
    answer = await until_computed(ready, {"format": "mot"})
    lines = answer.text.splitlines()
    assert {line.split(",")[1] for line in lines} == {"1", "2"}
    assert "derived/a/tracked.v1.json" in ready.s3.objects("videos")


async def until_computed(door: Door, params: dict[str, object]) -> httpx.Response:
    """The answer, after as many times 202 as it takes."""
    for _ in range(60):
        answer = await door.client.get(URL, params=params)  # type: ignore[arg-type]
        if answer.status_code != 202:
            assert answer.status_code == 200, answer.text
            return answer
        assert answer.json() == {"status": "computing"}
        assert int(answer.headers["retry-after"]) > 0
    pytest.fail("it is never computed")


async def test_one_track_can_be_asked_for(ready: Door) -> None:
    answer = await until_computed(ready, {"track": 2, "limit": 1000})
    objects = [each for row in answer.json()["prediction"] for each in row["objects"]]
    assert {each["track"] for each in objects} == {2}
    assert answer.json()["tracker"]["name"] == "ByteTrack"


async def test_before_it_is_ready_it_says_so_and_when_to_ask_again(door: Door) -> None:
    await door.accept("a")
    for path in ("detections", "summary", "tracks"):
        answer = await door.client.get(f"/api/v1/videos/a/{path}")
        assert (answer.status_code, answer.json()["code"]) == (409, "not_ready")
        assert answer.headers["retry-after"] == "5"


async def test_of_a_video_that_failed_it_says_why(door: Door) -> None:
    await door.accept("a")
    await door.put("failed/a.json", failed_document("a", failure("not_a_video")))
    answer = await door.client.get(URL)
    found = answer.json()
    assert (answer.status_code, found["code"], found["reason"]) == (409, "video_failed", "not_a_video")
    assert failure("not_a_video").message in found["detail"]


async def test_of_a_video_that_was_never_published_it_says_why(door: Door) -> None:
    await door.services.outbox.accept(video_id="a", bucket="videos", object_name="x", input_owned=False)
    (claimed,) = await door.services.outbox.claims.take()
    await door.services.outbox.claims.refuse(claimed, failure("worker_crashed"))
    assert (await door.client.get(URL)).json()["reason"] == "worker_crashed"


@pytest.mark.parametrize("path", ["detections", "summary", "tracks"])
async def test_an_unknown_video_is_not_found(door: Door, path: str) -> None:
    assert (await door.client.get(f"/api/v1/videos/a/{path}")).status_code == 404


async def test_what_nobody_can_write_is_not_acceptable(ready: Door) -> None:
    answer = await ready.client.get(URL, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize(
    "asked",
    [
        {"format": "xml"},
        {"limit": 1001},
        {"min_conf": 2},
        {"from": -1},
        {"from": "nan"},
        {"from": 5, "to": 5},
        {"format": "csv", "cursor": "x"},
        {"track": 0},
        {"class": ""},
    ],
)
async def test_what_cannot_be_is_refused_with_the_name_of_the_parameter(
    ready: Door, asked: dict[str, object]
) -> None:
    answer = await ready.client.get(URL, params=asked)  # type: ignore[arg-type]
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] in {*asked, "to"}


async def test_more_files_at_a_time_than_there_are_places_for_are_put_off(ready: Door) -> None:
    with ready.services.export_places.taken():
        ready.services.export_places._count = 1
        answer = await ready.client.get(URL, params={"format": "csv"})
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert (await ready.client.get(URL, params={"format": "csv"})).status_code == 200, "a place is given back"


async def test_a_result_that_cannot_be_read_is_our_mistake(ready: Door) -> None:
    await ready.put("detection/a.json", b"{}")
    answer = await ready.client.get(URL)
    assert (answer.status_code, answer.json()["code"]) == (500, "export_failed")


async def test_without_s3_it_is_unavailable(ready: Door) -> None:
    ready.set_away(s3=True)
    assert (await ready.client.get(URL)).status_code == 503
    ready.set_away()

"""The list of all videos."""

from datetime import timedelta

import pytest

from app.domain.documents import failed_document
from app.domain.failures import failure
from tests.api.conftest import Door


async def test_without_videos_the_list_is_empty(door: Door) -> None:
    answer = await door.client.get("/api/status/all")
    assert answer.json() == {"operations": [], "total": 0}


async def test_each_state_has_its_words(door: Door) -> None:
    for video_id in ("sent", "ready", "failed"):
        await door.accept(video_id)
        door.clock.pass_by(timedelta(seconds=1))
    await door.put("detection/ready.json", b"{}")
    reason = failure("not_a_video")
    await door.put("failed/failed.json", failed_document("failed", reason))
    await door.services.outcomes.look_at_some()
    await door.services.outbox.accept(video_id="new", bucket="videos", object_name="a", input_owned=False)
    assert (await door.client.get("/api/status/all")).json() == {
        "operations": [
            {
                "video_id": "new",
                "status_code": "new",
                "status_description": "Новое событие создано, ожидает отправки в очередь",
            },
            {
                "video_id": "failed",
                "status_code": "failed",
                "status_description": f"Обработка завершилась ошибкой: {reason.message}",
            },
            {
                "video_id": "ready",
                "status_code": "ready",
                "status_description": "Результат сохранён в S3 и готов к забору",
            },
            {
                "video_id": "sent",
                "status_code": "sent",
                "status_description": "Событие отправлено в очередь обработки",
            },
        ],
        "total": 4,
    }


async def test_the_words_follow_the_clients_language(door: Door) -> None:
    await door.accept("a")
    answer = await door.client.get("/api/status/all", headers={"accept-language": "en-GB,ru;q=0.5"})
    (operation,) = answer.json()["operations"]
    assert operation["status_description"] == "Event sent to the processing queue"


async def test_pages_lead_through_the_whole_list(door: Door) -> None:
    for number in range(5):
        await door.accept(f"v{number}")
    found: list[str] = []
    params: dict[str, str] = {"limit": "2"}
    while True:
        body = (await door.client.get("/api/status/all", params=params)).json()
        assert body["total"] == 5
        found += [operation["video_id"] for operation in body["operations"]]
        if "next_cursor" not in body:
            break
        params["cursor"] = body["next_cursor"]
    assert found == ["v4", "v3", "v2", "v1", "v0"]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "cursor=%20", "cursor=zzzz"])
async def test_a_page_that_cannot_be_is_refused(door: Door, query: str) -> None:
    answer = await door.client.get(f"/api/status/all?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_list_does_not_need_s3(door: Door) -> None:
    await door.accept("a")
    door.set_away(s3=True)
    assert (await door.client.get("/api/status/all")).json()["total"] == 1
    door.set_away(mongo=True)
    assert (await door.client.get("/api/status/all")).status_code == 503

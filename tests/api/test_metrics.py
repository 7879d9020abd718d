"""The API's numbers: who may see them, and what they are kept apart by."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.webhooks.courier import note_try
from app.clients.http.receivers import Reply
from app.clients.main_db.webhook_deliveries import Delivery
from app.domain.api_keys import Quotas, Scope
from app.domain.failures import failure
from app.domain.webhooks import Next, State
from app.telemetry import tracing
from tests.api.conftest import Door

ELSEWHERE = "http://192.0.2.7:8080"


async def shown(door: Door) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = await door.client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def counted(door: Door, method: str, route: str, status: int) -> float:
    labels = {"method": method, "route": route, "status": str(status)}
    return (await shown(door)).get(("kadr_http_request_seconds_count", frozenset(labels.items())), 0)


@pytest.mark.parametrize(
    ("scopes", "status"), [((), 401), (("read", "submit"), 403), (("admin",), 200)], ids=str
)
async def test_from_elsewhere_only_an_admin_sees_them(
    door: Door, scopes: tuple[Scope, ...], status: int
) -> None:
    settings = door.services.settings.model_copy(update={"api_keys": "auto", "api_published": ""})
    door.api.state.services = replace(door.services, settings=settings)
    headers = {}
    if scopes:
        _, key = await door.keys.create("prometheus", scopes, Quotas())
        headers["Authorization"] = f"Bearer {key}"
    answer = await door.client.get(f"{ELSEWHERE}/metrics", headers=headers)
    assert answer.status_code == status
    assert ("kadr_" in answer.text) is (status == 200)


async def test_a_request_is_counted_by_its_template_and_status_not_by_its_path(door: Door) -> None:
    route = "/api/v1/videos/{video_id}"
    before = await counted(door, "GET", route, 404)
    for name in ("a", "b", "c"):
        assert (await door.client.get(f"/api/v1/videos/{name}")).status_code == 404
    assert await counted(door, "GET", route, 404) == before + 3


async def test_what_no_route_answers_is_one_number_whatever_was_asked_for(door: Door) -> None:
    before = await counted(door, "other", "other", 404) + await counted(door, "other", "other", 405)
    for method, path in (("BREW", "/pot/1"), ("BREW", "/pot/2")):
        await door.client.request(method, path)
    after = await counted(door, "other", "other", 404) + await counted(door, "other", "other", 405)
    assert after == before + 2


async def test_what_is_refused_before_it_is_routed_is_counted_too(door: Door) -> None:
    before = await counted(door, "GET", "other", 421)
    await door.client.get("/api/status/all", headers={"Host": "evil.example"})
    assert await counted(door, "GET", "other", 421) == before + 1


async def test_servers_that_are_away_are_zero(door: Door) -> None:
    door.set_away(mongo=True)
    await door.services.readiness.refresh()
    found = await shown(door)
    assert found["kadr_service_up", frozenset({("service", "mongo")})] == 0


async def test_an_accepted_video_is_counted_and_no_trace_is_made_unless_it_is_asked_for(door: Door) -> None:
    before = (await shown(door))["kadr_videos_accepted_total", frozenset()]
    files = {"file": ("a.mp4", b"bytes", "video/mp4")}
    assert (await door.client.post("/api/upload_video", files=files)).status_code == 200
    after = await shown(door)
    assert after["kadr_videos_accepted_total", frozenset()] == before + 1
    assert after["kadr_upload_bytes_total", frozenset()] > 0
    assert not tracing.is_on()


async def test_tries_to_deliver_a_webhook_are_counted_by_what_came_of_them(door: Door) -> None:
    now = door.clock.now
    delivery = Delivery(
        "msg", "a", "me", "video.ready", "https://a.example/", "a.example", "{}", created_at=now, due_at=now
    )
    before = await shown(door)
    states: tuple[State, ...] = ("waiting", "waiting", "delivered", "failed")
    for state in states:
        note_try(delivery, Reply(status=200, seconds=0.1), Next(state))
    after = await shown(door)

    def grown(outcome: str) -> float:
        key = ("kadr_webhook_deliveries_total", frozenset({("outcome", outcome)}))
        return after[key] - before[key]

    assert [grown(outcome) for outcome in ("retried", "delivered", "failed")] == [2, 1, 1]


async def test_the_end_of_a_video_is_counted_once_however_often_it_is_noted(door: Door) -> None:
    def ended(numbers: Mapping[tuple[str, frozenset[tuple[str, str]]], float]) -> float:
        labels = {"outcome": "failed", "code": "not_a_video"}
        return numbers["kadr_videos_ended_total", frozenset(labels.items())]

    before = ended(await shown(door))
    await door.accept("a")
    for _ in range(3):
        await door.services.outbox.set_outcome(
            "a", "failed", attempt=1, at=door.clock.now, error=failure("not_a_video")
        )
    assert ended(await shown(door)) == before + 1

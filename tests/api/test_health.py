"""Health: liveness is the process, readiness is what it needs."""

from dataclasses import replace

import pytest

from api.readiness import Readiness
from app.errors import RetryLater
from tests.api.conftest import Door


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/health", "/health", "/health/live"])
async def test_every_health_call_answers_while_the_process_lives(door: Door, path: str) -> None:
    await door.services.readiness.refresh()
    answer = await door.client.get(path)
    assert answer.status_code == 200
    body = answer.json()
    assert body.pop("version")
    assert body == {
        "status": "ok",
        "service": "api",
        "live": True,
        "ready": True,
        "checks": {"mongo": "ok", "s3": "ok"},
    }


async def test_a_service_that_is_away_makes_it_unready_and_says_which(door: Door) -> None:
    door.set_away(s3=True)
    await door.services.readiness.refresh()
    body = (await door.client.get("/api/health")).json()
    assert (body["live"], body["ready"]) == (True, False)
    assert body["checks"]["mongo"] == "ok"
    assert "S3 is not available" in body["checks"]["s3"]
    answer = await door.client.get("/health/ready")
    assert answer.status_code == 503
    assert "s3" in answer.json()["detail"]


async def test_readiness_comes_back_with_the_service(door: Door) -> None:
    door.set_away(mongo=True)
    await door.services.readiness.refresh()
    assert (await door.client.get("/health/ready")).status_code == 503
    door.set_away()
    await door.services.readiness.refresh()
    assert (await door.client.get("/health/ready")).status_code == 200


async def test_a_missing_bucket_is_not_ready(door: Door) -> None:
    del door.s3.buckets["videos"]
    await door.services.readiness.refresh()
    assert not door.services.readiness.is_ready


async def test_every_answer_keeps_a_browser_from_guessing(door: Door) -> None:
    for path in ("/api/health", "/api/nothing"):
        assert (await door.client.get(path)).headers["x-content-type-options"] == "nosniff"


async def test_a_probe_that_knows_no_name_and_has_no_key_is_answered(door: Door) -> None:
    # As the kubelet asks: by the pod's address.
    strict = door.services.settings.model_copy(update={"api_keys": "required", "api_published": ""})
    door.api.state.services = replace(door.services, settings=strict)
    await door.services.readiness.refresh()
    for path in ("/health/live", "/health/ready"):
        assert (await door.client.get(f"http://10.1.2.3:8080{path}")).status_code == 200


async def test_services_that_answer_are_asked_every_few_seconds_and_one_that_is_away_each_time() -> None:
    now, asked, away = 0.0, list[float](), False

    async def ping() -> None:
        asked.append(now)
        if away:
            raise RetryLater("away")

    readiness = Readiness({"mongo": ping}, clock=lambda: now)
    for second in range(6):
        now = float(second)
        await readiness.keep_fresh()
    assert asked == [0, 3]
    away = True
    for second in range(6, 10):
        now = float(second)
        await readiness.keep_fresh()
    assert asked == [0, 3, 6, 7, 8, 9]

"""Errors have one shape, and say nothing of what is inside."""

from typing import Any

import pytest

from tests.api.conftest import Door


async def test_an_unknown_path_and_a_wrong_method_are_problems(door: Door) -> None:
    for method, path, status in (("GET", "/api/nothing", 404), ("PUT", "/api/status/all", 405)):
        answer = await door.client.request(method, path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "detail", "code"} <= answer.json().keys()


async def test_a_mistake_of_ours_shows_nothing_of_the_inside(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(**_: Any) -> None:  # noqa: ANN401  # whatever it is called with
        message = "the password is hunter2"
        raise RuntimeError(message)

    monkeypatch.setattr(door.services.outbox, "newest", broken)
    answer = await door.client.get("/api/status/all")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "hunter2" not in answer.text


async def test_an_unavailable_service_is_named_but_not_its_address(door: Door) -> None:
    door.set_away(mongo=True)
    answer = await door.client.get("/api/status/all")
    assert answer.json()["detail"].startswith("Mongo does not answer")
    assert "the test took it away" not in answer.text


async def test_every_call_documents_its_errors_and_shows_examples(door: Door) -> None:
    document = (await door.client.get("/openapi.json")).json()
    assert document["info"]["title"] == "Kadr"
    calls = {
        "/api/": "get",
        "/api": "get",
        "/api/health": "get",
        "/health": "get",
        "/api/upload_video": "post",
        "/api/request": "post",
        "/api/status/all": "get",
        "/api/result_video/{event_id}": "get",
        "/api/cleanup/all": "delete",
        "/api/v1/videos": "post",
        "/api/v1/videos/{video_id}": "delete",
    }
    for path, method in calls.items():
        call = document["paths"][path][method]
        assert call["tags"], path
        for status in ("500", "503"):
            assert call["responses"][status]["content"]["application/problem+json"]["schema"] == {
                "$ref": "#/components/schemas/Problem"
            }
        good = {"/api/v1/videos": "202", "/api/v1/videos/{video_id}": "204"}.get(path, "200")
        assert good in call["responses"]
    assert "Problem" in document["components"]["schemas"]
    assert "examples" in document["components"]["schemas"]["Accepted"]
    ids = [call["operationId"] for item in document["paths"].values() for call in item.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("path", "methods"), [("/api/v1/videos", "GET, POST"), ("/api/v1/videos/a", "GET, DELETE")]
)
async def test_a_method_that_a_path_has_not_names_all_that_it_has(
    door: Door, path: str, methods: str
) -> None:
    answer = await door.client.request("PATCH", path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == methods

"""What holds for every call: what a browser is told, whom the API answers, how long a request may be."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.headers import NOTHING
from tests.api.conftest import Door

SAFE = {"get", "head", "options"}


async def all_calls(door: Door) -> list[tuple[str, str]]:
    """Every call that is documented, as method and path."""
    document = (await door.client.get("/openapi.json")).json()
    calls = [(method, path) for path, item in document["paths"].items() for method in item]
    assert len(calls) >= 12
    return [(method, re.sub(r"\{\w+\}", "5b7c", path)) for method, path in calls]


def check_headers(answer: httpx.Response) -> None:
    headers = answer.headers
    assert headers.get_list("x-content-type-options") == ["nosniff"]
    assert headers.get_list("referrer-policy") == ["no-referrer"]
    assert headers.get_list("x-frame-options") == ["DENY"]
    assert headers.get_list("cross-origin-resource-policy") == ["same-origin"]
    assert headers.get_list("cache-control") == ["no-store"]
    (policy,) = headers.get_list("content-security-policy")
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert not [name for name in headers if name.startswith("access-control-")]


async def test_every_answer_tells_a_browser_the_same(door: Door) -> None:
    answers = [await door.client.request(method, path) for method, path in await all_calls(door)]
    answers += [
        await door.client.get("/api/nothing"),
        await door.client.put("/api/status/all"),
        await door.client.post("/api/request", content=bytes(100_000)),
        await door.client.get("/api/health", headers={"host": "evil.example"}),
        await door.client.post("/api/request", headers={"origin": "null"}),
        await door.client.options("/api/request", headers={"origin": "http://evil.example"}),
    ]
    assert {200, 403, 404, 405, 413, 421, 422} <= {answer.status_code for answer in answers}
    for answer in answers:
        check_headers(answer)
        assert answer.headers["content-security-policy"] == NOTHING


async def test_a_mistake_of_ours_does_too(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(**_: Any) -> None:  # noqa: ANN401  # whatever it is called with
        raise RuntimeError

    monkeypatch.setattr(door.services.outbox, "newest", broken)
    answer = await door.client.get("/api/status/all")
    assert answer.status_code == 500
    check_headers(answer)


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_the_reference_needs_no_other_host_and_no_script(door: Door, path: str) -> None:
    answer = await door.client.get(path)
    assert answer.status_code == 200
    check_headers(answer)
    assert "<script" not in answer.text
    assert not re.findall(r"(?:src|href)='(?![/#])", answer.text)
    assert "http" not in answer.headers["content-security-policy"]
    for method, called in await all_calls(door):
        assert f"{method.upper()} {called.replace('5b7c', '')[:12]}" in answer.text


async def test_no_call_answers_under_a_foreign_name(door: Door) -> None:
    others = [("get", path) for path in ("/docs", "/openapi.json", "/nothing")]
    for method, path in [*await all_calls(door), *others]:
        answer = await door.client.request(method, path, headers={"host": "rebound.example:8080"})
        assert (answer.status_code, answer.json()["code"]) == (421, "foreign_host"), (method, path)


async def test_no_call_that_changes_something_is_made_for_a_page_of_others(door: Door) -> None:
    await door.accept("5b7c")
    unsafe = [each for each in await all_calls(door) if each[0] not in SAFE]
    assert len(unsafe) >= 4
    form = {"content-type": "text/plain"}
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://other.api"},
    ):
        for method, path in unsafe:
            answer = await door.client.request(method, path, headers={**form, **headers})
            assert (answer.status_code, answer.json()["code"]) == (403, "cross_site"), (method, path)
    assert list(door.videos.documents) == ["5b7c"]
    answer = await door.client.delete("/api/v1/videos/5b7c", headers={"origin": "http://api"})
    assert answer.status_code == 204


async def test_a_body_that_does_not_come_is_given_up(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.transport.bodies.BODY_WITHIN", 0.05)

    async def for_ever() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    for method, path in await all_calls(door):
        if path != "/api/upload_video":
            answer = await door.client.request(method, path, content=for_ever())
            assert (answer.status_code, answer.json()["code"]) == (408, "timeout"), (method, path)


async def test_no_call_takes_a_long_body_but_an_upload(door: Door) -> None:
    async def unannounced() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield bytes(1000)

    for method, path in await all_calls(door):
        if path != "/api/upload_video":
            for body in (bytes(100_000), unannounced()):
                answer = await door.client.request(method, path, content=body)
                assert (answer.status_code, answer.json()["code"]) == (413, "too_large"), (method, path)


async def test_a_head_of_many_headers_is_refused(door: Door) -> None:
    for headers in ([("x", "y")] * 200, [("x", "y" * 20_000)]):
        answer = await door.client.get("/api/health", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (431, "head_too_large")

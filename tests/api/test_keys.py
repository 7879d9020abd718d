"""Who is let in, and to what."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message
from starlette.types import Scope as Asked

from api.access import key_ring
from api.access.key_ring import KeyRing
from api.access.keys import OPEN, KeyCheck, is_local
from api.main import create_api
from app.domain.api_keys import SCOPES, Quotas, Scope
from app.settings import KeyRule, Settings
from tests.api.conftest import Door

ELSEWHERE = "http://192.0.2.7:8080"
HERE = "http://127.0.0.1:8080"

LIST = "/api/status/all"

HOST = {"Host": "127.0.0.1:8080"}
"""What a browser on this machine says, whatever address the request arrives on."""


def rule(door: Door, rule: KeyRule, *, published: str = "") -> None:
    """Give the API other settings."""
    settings = door.services.settings.model_copy(update={"api_keys": rule, "api_published": published})
    door.api.state.services = replace(door.services, settings=settings)


async def new_key(door: Door, *scopes: Scope, quotas: Quotas | None = None) -> str:
    _, text = await door.keys.create("test", scopes or ("read",), quotas or Quotas())
    return text


async def ask(
    door: Door, key: str | None = None, *, origin: str = ELSEWHERE, **headers: str
) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if key is not None:
        sent["Authorization"] = f"Bearer {key}"
    return await door.client.get(f"{origin}{LIST}", headers=sent)


async def test_whoever_reaches_a_loopback_address_needs_no_key(door: Door) -> None:
    rule(door, "auto")
    for origin in (HERE, "http://[::1]:8080"):
        assert (await ask(door, origin=origin)).status_code == 200


@pytest.mark.parametrize("origin", [ELSEWHERE, "http://[2001:db8::1]:8080", "http://api"])
async def test_whoever_reaches_another_address_needs_one_and_is_told_how_to_get_it(
    door: Door, origin: str
) -> None:
    rule(door, "auto")
    answer = await ask(door, origin=origin)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="kadr"'
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "no_key"
    assert "kadr keys create" in answer.json()["detail"]
    assert (await ask(door, await new_key(door), origin=origin)).status_code == 200


async def test_a_port_published_on_loopback_is_like_one_that_listens_there(door: Door) -> None:
    rule(door, "auto", published="127.0.0.1")
    assert (await ask(door, **HOST)).status_code == 200
    rule(door, "auto", published="0.0.0.0")  # noqa: S104 - what is tested
    assert (await ask(door, origin=HERE)).status_code == 401


@pytest.mark.parametrize("header", ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"])
async def test_what_a_proxy_passes_on_is_not_local(door: Door, header: str) -> None:
    rule(door, "auto", published="127.0.0.1")
    assert (await door.client.get(f"{HERE}{LIST}", headers={header: "192.0.2.1"})).status_code == 401


async def test_required_means_on_loopback_too_and_off_means_nowhere(door: Door) -> None:
    rule(door, "required", published="127.0.0.1")
    assert (await ask(door, origin=HERE)).status_code == 401
    rule(door, "off")
    assert (await ask(door, **HOST)).status_code == 200
    assert (await ask(door, "kadr_nonsense", **HOST)).status_code == 200


@pytest.mark.parametrize("server", [None, ("/run/kadr.sock", None), ("::ffff:192.0.2.1", 80), ("", 0)])
def test_an_address_that_says_nothing_is_not_local(server: object) -> None:
    assert not is_local({"type": "http", "headers": [], "server": server}, "")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "localhost"])
def test_loopback_has_many_names(host: str) -> None:
    assert is_local({"type": "http", "headers": [], "server": (host, 80)}, "")
    assert is_local({"type": "http", "headers": [], "server": ("192.0.2.1", 80)}, host)


async def test_a_key_may_stand_in_either_header(door: Door) -> None:
    rule(door, "required")
    key = await new_key(door)
    assert (await ask(door, X_API_Key=key)).status_code == 200
    assert (await ask(door, Authorization=f"bearer {key}")).status_code == 200
    assert (await ask(door, Authorization="Basic eDp5", X_API_Key=key)).status_code == 200
    assert (await ask(door, Authorization=key)).status_code == 401


async def test_what_is_no_key_is_refused_even_where_none_is_needed(door: Door) -> None:
    rule(door, "auto")
    good = await new_key(door)
    unknown = f"kadr_{'0' * 12}_{'0' * 64}"
    wrong = good[:-64] + "0" * 64
    for text in ("x", unknown, wrong, good.upper()):
        answer = await ask(door, text, origin=HERE)
        assert (answer.status_code, answer.json()["code"]) == (401, "unknown_key")
        assert answer.headers["www-authenticate"] == 'Bearer realm="kadr", error="invalid_token"'
        assert text not in answer.text or text == "x"


async def test_a_revoked_key_is_good_for_two_seconds_at_most(door: Door) -> None:
    now = 0.0
    ring = KeyRing(door.keys, clock=lambda: now)
    key, text = await door.keys.create("test", ["read"], Quotas())
    assert await ring.find(text)
    assert await door.keys.revoke(key.id)
    now = key_ring.CACHED_FOR - 0.01
    assert await ring.find(text), "it is remembered"
    now = key_ring.CACHED_FOR
    assert await ring.find(text) is None
    assert key_ring.CACHED_FOR <= 2


async def test_a_new_key_is_good_two_seconds_after_it_was_tried_too_early(door: Door) -> None:
    now = 0.0
    ring = KeyRing(door.keys, clock=lambda: now)
    _, text = await door.keys.create("test", ["read"], Quotas())
    assert await ring.find(f"kadr_{'1' * 12}_{'0' * 64}") is None
    assert await ring.find(text)


async def test_guesses_do_not_fill_the_memory(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_ring, "MOST_CACHED", 10)
    ring = KeyRing(door.keys)
    for number in range(100):
        assert await ring.find(f"kadr_{number:012x}_{'0' * 64}") is None
    assert len(ring._known) <= 10


async def test_while_mongo_is_away_nobody_is_let_in_and_nobody_is_told_that_a_key_is_wrong(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule(door, "required")
    key = await new_key(door)
    monkeypatch.setattr(door.keys._keys, "is_away", True)
    answer = await ask(door, key)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "retry-after" in answer.headers
    assert (await ask(door)).status_code == 401


async def test_use_is_noted_once_a_minute(door: Door) -> None:
    rule(door, "required")
    key, text = await door.keys.create("test", ["read"], Quotas())

    async def noted() -> object:
        door.services.keys._known.clear()
        assert (await ask(door, text)).status_code == 200
        found = await door.keys.get(key.id)
        assert found is not None
        return found.last_used_at

    begun = door.clock.now
    assert await noted() == begun
    door.clock.pass_by(timedelta(seconds=59))
    assert await noted() == begun
    door.clock.pass_by(timedelta(seconds=1))
    assert await noted() == begun + timedelta(minutes=1)


def operations(api: FastAPI) -> Iterable[tuple[str, str, dict[str, object]]]:
    for path, item in api.openapi()["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def scope_of(operation: dict[str, object]) -> Scope | None:
    security = operation.get("security")
    if security is None:
        return None
    assert isinstance(security, list)
    names = {name for entry in security for name in entry}
    assert names == {"bearer", "header"}
    scopes = {scope for entry in security for found in entry.values() for scope in found}
    if not scopes:
        return None
    (scope,) = scopes
    assert scope in SCOPES
    found: Scope = scope
    return found


async def test_every_operation_but_health_says_which_scope_it_needs(door: Door) -> None:
    schemes = door.api.openapi()["components"]["securitySchemes"]
    assert {name: scheme["type"] for name, scheme in schemes.items()} == {
        "bearer": "http",
        "header": "apiKey",
    }
    for _, path, operation in operations(door.api):
        assert (scope_of(operation) is None) == (path in OPEN or path == "/api/v1/session"), path
        if path not in OPEN:
            assert {"401", "403"} <= set(operation["responses"]), path  # type: ignore[call-overload]


async def test_without_a_key_only_health_the_description_and_the_page_are_served(door: Door) -> None:
    rule(door, "required")
    for path in OPEN - {"/health/ready"}:
        assert (await door.client.get(path)).status_code == 200, path
    for path in (
        "/page",
        "/page/x.js",
        "/api/nothing",
        "/docs/",
        "/api/health/",
        "//api/health",
        "/static/x.js",
    ):
        assert (await door.client.get(f"{ELSEWHERE}{path}")).status_code == 401, path


async def test_a_route_that_forgets_to_ask_is_closed() -> None:
    async def forgetful() -> str:
        return "served"

    api = create_api(lambda: pytest.fail("not opened"))
    api.add_api_route("/api/forgotten", forgetful)

    class Services:
        settings = Settings(api_keys="required")

    api.state.services = Services()
    transport = httpx.ASGITransport(api)
    async with httpx.AsyncClient(transport=transport, base_url=HERE) as client:
        assert (await client.get("/api/forgotten")).status_code == 401


async def test_everything_needs_an_admin_to_be_deleted(door: Door) -> None:
    rule(door, "required")
    headers = {"X-API-Key": await new_key(door, "submit", "read", "delete")}
    answer = await door.client.delete("/api/cleanup/all", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "admin" in answer.json()["detail"]
    headers = {"X-API-Key": await new_key(door, "admin")}
    assert (await door.client.delete("/api/cleanup/all", headers=headers)).status_code == 200


async def test_a_key_that_is_stored_is_a_digest(door: Door) -> None:
    key, text = await door.keys.create("test", ["read"], Quotas(3, 1000))
    document = await door.keys._keys.find_one({})
    assert document == {
        "_id": key.id,
        "name": "test",
        "hash": hashlib.sha256(text.encode()).hexdigest(),
        "scopes": ["read"],
        "quotas": {"max_waiting": 3, "bytes_per_day": 1000},
        "created_at": door.clock.now,
        "last_used_at": None,
        "revoked_at": None,
    }


@pytest.mark.parametrize(("rule_", "is_served"), [("required", False), ("off", True)])
async def test_a_web_socket_is_closed_like_a_route(*, rule_: KeyRule, is_served: bool) -> None:
    served, sent = [], []

    async def next_app(scope: Asked, *_: object) -> None:
        served.append(scope["path"])

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    class App:
        class state:  # noqa: N801 - Starlette's name
            class services:  # noqa: N801 - ours
                settings = Settings(api_keys=rule_)

    scope = {"type": "websocket", "path": "/live", "headers": [], "server": ("127.0.0.1", 80), "app": App}
    await KeyCheck(next_app)(scope, receive, send)
    assert bool(served) is is_served
    assert [message["type"] for message in sent] == ([] if is_served else ["websocket.close"])

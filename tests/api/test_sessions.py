"""A key is exchanged for a session, which is good for as much, and not for pages of others."""

from collections.abc import Mapping
from datetime import timedelta

import httpx
import pytest

from api.access.key_ring import CACHED_FOR
from api.access.session_cookies import NAME
from app.clients.main_db.sessions import KEPT_FOR
from tests.api.conftest import Door
from tests.api.test_keys import ELSEWHERE, HERE, new_key, rule

SESSION = "/api/v1/session"
LIST = "/api/v1/videos"

OURS = {"Sec-Fetch-Site": "same-origin"}


async def ask(
    door: Door, method: str, path: str, *, cookie: str | None = None, headers: Mapping[str, str] = OURS
) -> httpx.Response:
    """Ask as a browser does, from a page of ours."""
    sent = {**headers} | ({} if cookie is None else {"Cookie": f"{NAME}={cookie}"})
    answer = await door.client.request(method, f"{ELSEWHERE}{path}", headers=sent)
    door.client.cookies.clear()
    return answer


async def begin(door: Door, key: str) -> str:
    """Sign in, and return the cookie's value."""
    answer = await ask(door, "POST", SESSION, headers={**OURS, "Authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.text
    return answer.cookies[NAME]


@pytest.fixture
async def key(door: Door) -> str:
    rule(door, "auto")
    return await new_key(door, "read", "submit")


async def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(door: Door, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}", **OURS}
    given = (await ask(door, "POST", SESSION, headers=headers)).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=604800"} <= set(given.split("; "))
    assert "Secure" not in given
    assert key not in given
    by_tls = await ask(door, "POST", SESSION, headers={**headers, "X-Forwarded-Proto": "https"})
    assert "; Secure" in by_tls.headers["set-cookie"]


async def test_what_is_kept_of_a_session_opens_none(door: Door, key: str) -> None:
    token = await begin(door, key)
    documents = door.services.sessions._sessions
    kept = await documents.find_one({})
    assert kept is not None
    assert token not in str(kept)
    assert (await ask(door, "GET", LIST, cookie=str(kept["_id"]))).status_code == 401


async def test_a_session_is_good_for_what_its_key_is_good_for(door: Door, key: str) -> None:
    cookie = await begin(door, key)
    assert (await ask(door, "GET", LIST, cookie=cookie)).status_code == 200
    answer = await ask(door, "DELETE", f"{LIST}/a", cookie=cookie)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    shown = (await ask(door, "GET", SESSION, cookie=cookie)).json()["key"]
    assert shown == {"id": key.split("_")[1], "name": "test", "scopes": ["submit", "read"]}


async def test_a_session_sees_the_videos_of_its_key_alone(door: Door, key: str) -> None:
    await door.accept("of-nobody")
    cookie = await begin(door, key)
    assert (await ask(door, "GET", LIST, cookie=cookie)).json()["videos"] == []
    other = await begin(door, await new_key(door, "admin"))
    assert len((await ask(door, "GET", LIST, cookie=other)).json()["videos"]) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://192.0.2.7:9999"},
        {"Origin": "http://192.0.2.7:9999"},
        {"Origin": "null"},
    ],
    ids=["another site", "another port", "another port, without fetch metadata", "a hidden origin"],
)
async def test_a_page_of_another_origin_gets_nothing_done_with_it(
    door: Door, key: str, headers: dict[str, str]
) -> None:
    cookie = await begin(door, key)
    for method, path in (("POST", LIST), ("POST", f"{LIST}/a/cancel"), ("DELETE", f"{LIST}/a")):
        answer = await ask(door, method, path, cookie=cookie, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site"), path
    assert (await ask(door, "DELETE", SESSION, cookie=cookie, headers=headers)).status_code == 403
    assert (await ask(door, "GET", LIST, cookie=cookie)).status_code == 200, "it is still good"


async def test_what_a_page_of_another_origin_asks_for_it_cannot_read(door: Door, key: str) -> None:
    answer = await ask(
        door, "GET", LIST, cookie=await begin(door, key), headers={"Origin": "https://a.example"}
    )
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_with_its_key_revoked_a_session_is_dead(door: Door, key: str) -> None:
    cookie = await begin(door, key)
    seconds = [0.0]
    door.services.keys._clock = lambda: seconds[0]
    door.services.keys._known.clear()
    assert (await ask(door, "GET", LIST, cookie=cookie)).status_code == 200
    await door.keys.revoke(key.split("_")[1])
    seconds[0] += CACHED_FOR
    answer = await ask(door, "GET", LIST, cookie=cookie)
    assert (answer.status_code, answer.json()["code"]) == (401, "no_key")


async def test_a_session_ends_when_it_is_ended_or_its_time_is_over(door: Door, key: str) -> None:
    first, second = await begin(door, key), await begin(door, key)
    answer = await ask(door, "DELETE", SESSION, cookie=first)
    assert answer.status_code == 204
    assert f'{NAME}="";' in answer.headers["set-cookie"]
    assert (await ask(door, "GET", LIST, cookie=first)).status_code == 401
    assert (await ask(door, "GET", LIST, cookie=second)).status_code == 200
    door.clock.pass_by(KEPT_FOR + timedelta(seconds=1))
    assert (await ask(door, "GET", LIST, cookie=second)).status_code == 401
    assert await door.services.sessions.forget_expired() == 1


async def test_a_session_is_begun_with_a_key_and_not_with_another_session(door: Door, key: str) -> None:
    assert (await ask(door, "POST", SESSION, cookie=await begin(door, key))).json()["code"] == "no_key"
    assert (await door.client.post(f"{HERE}{SESSION}")).json()["code"] == "no_key"
    wrong = await ask(door, "POST", SESSION, headers={"Authorization": "Bearer kadr_wrong"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "unknown_key")


async def test_a_key_in_a_header_goes_before_a_session(door: Door, key: str) -> None:
    cookie = await begin(door, key)
    stronger = await new_key(door, "admin")
    headers = {**OURS, "Authorization": f"Bearer {stronger}"}
    shown = (await ask(door, "GET", SESSION, cookie=cookie, headers=headers)).json()["key"]
    assert shown["scopes"] == ["admin"]
    headers["Authorization"] = "Bearer kadr_wrong"
    assert (await ask(door, "GET", LIST, cookie=cookie, headers=headers)).status_code == 401


@pytest.mark.parametrize("cookie", ["", "x", "0" * 63, "0" * 64, '"' + "0" * 64])
async def test_a_cookie_that_is_none_is_as_no_cookie(door: Door, cookie: str) -> None:
    rule(door, "auto")
    assert (await ask(door, "GET", LIST, cookie=cookie)).json()["code"] == "no_key"
    here = await door.client.get(f"{HERE}{LIST}", headers={"Cookie": f"{NAME}={cookie}"})
    assert here.status_code == 200


async def test_where_no_key_is_needed_nobody_is_signed_in(door: Door) -> None:
    assert (await door.client.get(f"{HERE}{SESSION}")).json() == {"key": None}


async def test_while_mongo_does_not_answer_nobody_knows(door: Door, key: str) -> None:
    cookie = await begin(door, key)
    door.services.sessions._sessions.is_away = True  # type: ignore[attr-defined] # it is one in memory
    assert (await ask(door, "GET", LIST, cookie=cookie)).status_code == 503

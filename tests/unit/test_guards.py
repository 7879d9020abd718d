"""Who is refused at the door: names that are not ours, pages of others, heads that nobody needs."""

import pytest
from starlette.datastructures import Headers
from starlette.types import Scope

from api.access.guards import MAX_HEAD, MAX_HEADERS, refuse_cross_site, refuse_head, refuse_host
from app.settings import Settings

OURS = Settings.model_fields["allowed_hosts"].default


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "127.0.0.1:8080",
        "[::1]:8080",
        "[::1]",
        "LocalHost:80",
        "api_checkout:8080",
    ],
)
def test_our_names_pass_at_any_port(host: str) -> None:
    assert refuse_host(Headers({"host": host}), OURS) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "evil-localhost",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "localhost:8080@evil.example",
        "localhost, evil.example",
        "[::1].evil.example",
        "192.0.2.7",
        "",
        "*",
    ],
)
def test_other_names_are_refused(host: str) -> None:
    refusal = refuse_host(Headers({"host": host}), OURS)
    assert refusal is not None
    assert refusal.status_code == 421
    assert refusal.media_type == "application/problem+json"


def test_a_program_that_names_no_host_passes() -> None:
    assert refuse_host(Headers({}), OURS) is None


@pytest.mark.parametrize(
    ("pattern", "host", "is_ours"),
    [
        ("*", "anything.example", True),
        ("*.example.org", "kadr.example.org:443", True),
        ("*.example.org", "example.org", False),
        ("*.example.org", "evilexample.org", False),
        ("Kadr.example.org", "kadr.example.org", True),
    ],
)
def test_an_operator_may_name_others(pattern: str, host: str, *, is_ours: bool) -> None:
    assert (refuse_host(Headers({"host": host}), (pattern,)) is None) is is_ours


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://127.0.0.1:8080"},
        {"origin": "https://127.0.0.1:8080"},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "origin": "https://kadr.example"},
    ],
)
def test_programs_and_pages_of_ours_may_change_things(headers: dict[str, str]) -> None:
    assert refuse_cross_site("POST", Headers({"host": "127.0.0.1:8080", **headers})) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "http://127.0.0.1"},
        {"origin": "http://localhost:8080"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "file://"},
        {"origin": "http://127.0.0.1:many"},
        {"origin": "http://[::1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:8080"},
        {"sec-fetch-site": ""},
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH", "CONNECT", "post"])
def test_pages_of_others_may_not(method: str, headers: dict[str, str]) -> None:
    refusal = refuse_cross_site(method, Headers({"host": "127.0.0.1:8080", **headers}))
    assert refusal is not None
    assert refusal.status_code == 403


def test_pages_of_others_may_ask_for_what_changes_nothing() -> None:
    headers = Headers({"host": "127.0.0.1:8080", "origin": "null", "sec-fetch-site": "cross-site"})
    assert [refuse_cross_site(method, headers) for method in ("GET", "HEAD", "OPTIONS")] == [None] * 3


def test_the_port_of_a_scheme_need_not_be_said() -> None:
    for origin, host in (
        ("https://kadr.example", "kadr.example:443"),
        ("http://kadr.example:80", "kadr.example"),
        ("http://[::1]:8080", "[::1]:8080"),
    ):
        assert refuse_cross_site("POST", Headers({"host": host, "origin": origin})) is None


def head(*headers: tuple[bytes, bytes], query: bytes = b"") -> tuple[Scope, Headers]:
    return {"raw_path": b"/", "query_string": query}, Headers(raw=list(headers))


@pytest.mark.parametrize(
    ("scope", "headers"),
    [
        head(*[(b"a", b"")] * (MAX_HEADERS + 1)),
        head((b"a", bytes(MAX_HEAD))),
        head((bytes(MAX_HEAD), b"a")),
        head(query=bytes(MAX_HEAD)),
    ],
)
def test_a_head_has_an_end(scope: Scope, headers: Headers) -> None:
    refusal = refuse_head(scope, headers)
    assert refusal is not None
    assert refusal.status_code == 431


def test_an_ordinary_head_passes() -> None:
    assert refuse_head(*head(*[(b"name", b"x" * 100)] * MAX_HEADERS)) is None


def test_a_body_ends_where_one_header_says() -> None:
    refusal = refuse_head(*head((b"content-length", b"5"), (b"transfer-encoding", b"chunked")))
    assert refusal is not None
    assert refusal.status_code == 400

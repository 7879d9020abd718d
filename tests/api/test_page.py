"""The page is served to whoever asks, in whole, and with a policy that lets nothing in from elsewhere."""

import re
from html.parser import HTMLParser

import pytest

from api.headers import PAGE
from api.page_files import FILES, FOLDER, PATHS
from tests.api.conftest import Door

MOST = 64 << 10
"""Bytes of a file of the page: it is small, or it is two."""


async def test_every_file_of_the_page_is_served_with_its_type_its_policy_and_a_tag(door: Door) -> None:
    assert {path.suffix for path in FOLDER.rglob("*") if path.is_file()} <= {".css", ".html", ".js", ".svg"}
    for path in PATHS:
        answer = await door.client.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-security-policy"] == PAGE
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-cache"
        expected = {
            "js": "text/javascript; charset=utf-8",
            "css": "text/css; charset=utf-8",
            "svg": "image/svg+xml",
        }
        assert answer.headers["content-type"] == expected.get(
            path.rpartition(".")[2], "text/html; charset=utf-8"
        )
        known = await door.client.get(path, headers={"If-None-Match": f'"other", W/{answer.headers["etag"]}'})
        assert (known.status_code, known.content) == (304, b"")
        head = await door.client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(answer.content))
        assert len(answer.content) < MOST


@pytest.mark.parametrize(
    "path", ["/page/", "/page/nothing.js", "/page/../keys.py", "/page/%2e%2e/keys.py", "/page//etc/passwd"]
)
async def test_nothing_else_is_served(door: Door, path: str) -> None:
    answer = await door.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_the_page_may_not_be_posted_to_and_is_no_call(door: Door) -> None:
    answer = await door.client.post("/")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    paths = (await door.client.get("/openapi.json")).json()["paths"]
    assert not [path for path in paths if path == "/" or path.startswith("/page")]


class Inside(HTMLParser):
    """Collects what the policy would refuse, and what is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inline += [f"{tag} {name}" for name in given if name == "style" or name.startswith("on")]
        if tag == "script" and "src" not in given:
            self.inline.append(tag)
        link = given.get("src") or (given.get("href") if tag == "link" else None)
        self.loaded += [link] if link else []


def test_nothing_is_written_within_the_page_and_all_that_it_loads_is_there() -> None:
    found = Inside()
    found.feed((FOLDER / "index.html").read_text(encoding="utf-8"))
    assert found.inline == []
    assert found.loaded
    assert {f"/{each}" for each in found.loaded} <= PATHS


def test_every_module_imports_what_is_there_and_none_loads_from_elsewhere() -> None:
    for name in FILES:
        text = (FOLDER / name).read_text(encoding="utf-8")
        for target in re.findall(r'(?:from|import) "([^"]+)";', text):
            assert target.startswith("."), f"{name}: {target}"
            assert ((FOLDER / name).parent / target).resolve().is_file(), f"{name}: {target}"
        assert not re.findall(r"https?://(?!www\.w3\.org/)", text), name

"""The page for people: files of `api/page`, read once, served to whoever asks.

They hold nothing of anybody's videos, so they need no key; what the page shows it asks the API for. The names
are looked up among those that were found when the process started: no path of a request reaches the disk.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from api.headers import PAGE

router = APIRouter(include_in_schema=False)

FOLDER: Final = Path(__file__).parents[1] / "page"

PREFIX: Final = "/page/"

TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What the page is made of; files of other kinds are not served."""

METHODS: Final = ["GET", "HEAD"]


@dataclass(frozen=True)
class PageFile:
    """A file of the page.

    Attributes:
        body: its bytes.
        media_type: of these.
        tag: its entity tag: other bytes, another tag.
    """

    body: bytes
    media_type: str
    tag: str


def _read_all(folder: Path) -> Iterator[tuple[str, PageFile]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix in TYPES and path.is_file():
            body = path.read_bytes()
            tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            yield path.relative_to(folder).as_posix(), PageFile(body, TYPES[path.suffix], tag)


FILES: Final = dict(_read_all(FOLDER))

DOCUMENT: Final = FILES.pop("index.html")
"""What is at `/` and nowhere else: it finds the others from there."""

PATHS: Final = frozenset({"/", *(PREFIX + name for name in FILES)})
"""Where the page is: `api.keys` asks nobody for a key there."""


@router.api_route("/", methods=METHODS)
async def show_page(request: Request) -> Response:
    """Show the page."""
    return _answer(request, DOCUMENT)


@router.api_route(PREFIX + "{name:path}", methods=METHODS)
async def show_file(request: Request, name: str) -> Response:
    """Send a file that the page is made of."""
    found = FILES.get(name)
    if found is None:
        raise HTTPException(404, "The page has no such file.")
    return _answer(request, found)


def _answer(request: Request, file: PageFile) -> Response:
    """Return a file, or that the browser has it; it asks each time, so that a new release shows at once."""
    headers = {"Cache-Control": "no-cache", "ETag": file.tag, "Content-Security-Policy": PAGE}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if file.tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(file.body, headers=headers, media_type=file.media_type)

"""The files of the page, `api/page`, read once when the process starts.

They hold nothing of anybody's videos, so they need no key; what the page shows it asks the API for. The names
are looked up among those that were found: no path of a request reaches the disk.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).with_name("page")

PREFIX: Final = "/page/"

TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What the page is made of; files of other kinds are not served."""


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
"""Where the page is: `api.access.keys` asks nobody for a key there."""

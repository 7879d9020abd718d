"""Which objects a client may ask for: names within our buckets, nothing that could lead elsewhere.

What Kadr writes itself (`input/`, `detection/`, …) is not lent by name: a key may ask for its own uploads
there, and everything else below these prefixes is to it as if it were not there.
"""

import re
import unicodedata
from typing import Final

from api.access.keys import Caller
from api.dependencies import Services
from api.problems import Invalid
from app.domain.objects import (
    OUR_PREFIXES,
    input_object,
    video_of,
)
from app.errors import Missing

URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
"""How a URL begins. A time of day, as in `2026-01-01T10:00:00/a.mp4`, does not."""

CONTROL: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's categories of control characters, surrogates, and ends of lines and paragraphs."""


def check_name(name: str) -> None:
    """Return if a name can be that of an object, and nothing else.

    Raises:
        Invalid: it looks like a URL, has control characters, or has a segment that a server or a
            client on the way may take for a path's (`..`, `.`, an empty one).
    """
    if URL.match(name):
        raise Invalid("object", "looks like a URL: name an object of the bucket")
    if any(unicodedata.category(character) in CONTROL for character in name):
        raise Invalid("object", "has control characters")
    if any(segment in {"", ".", ".."} for segment in name.split("/")):
        raise Invalid("object", "has an empty segment, or one that is . or ..")


async def check_allowed(services: Services, caller: Caller, bucket: str, name: str) -> None:
    """Return if the caller may have this object looked at.

    Raises:
        Missing: it is one of ours and not the caller's, which is as if it were not there.
    """
    if caller.sees is None or not name.startswith(OUR_PREFIXES):
        return
    video_id = video_of(name)
    if video_id is not None and name == input_object(video_id):
        video = await services.outbox.get(video_id, owner=caller.sees)
        if video is not None and (video.bucket, video.object) == (bucket, name):
            return
    raise Missing(f"{bucket}/{name}")

"""Where the next page of a list begins, as a text that means nothing to its client."""

import base64
import binascii
from datetime import UTC, datetime

from api.problems import Invalid
from app.clients.main_db.video_outbox import Cursor

LONGEST = 200
"""Characters of a cursor; some 90 are usual."""


def write_cursor(cursor: Cursor) -> str:
    """Return the text."""
    at, video_id = cursor
    return base64.urlsafe_b64encode(f"{at.isoformat()}|{video_id}".encode()).decode().rstrip("=")


def read_cursor(text: str) -> Cursor:
    """Return what the text says.

    Raises:
        Invalid: no answer has given it.
    """
    try:
        at, _, video_id = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition("|")
        when = datetime.fromisoformat(at)
        if when.tzinfo is None or not video_id:
            raise Invalid("cursor", "is none that an answer has given")
        return when.astimezone(UTC), video_id
    except (ValueError, OverflowError, binascii.Error) as error:
        raise Invalid("cursor", "is none that an answer has given") from error

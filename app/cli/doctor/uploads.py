"""What is left of uploads that never ended, and whether pages may send files to S3 themselves."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from app.cli.doctor.findings import Finding, ok, unknown, warning
from app.clients.s3.presigned import presigner
from app.clients.s3.storage import Storage
from app.domain.objects import (
    OURS,
    input_object,
)
from app.errors import Unavailable
from app.settings import Settings

OLD: Final = timedelta(days=1)
"""The API takes its own away after so long; a direct upload ends with it."""

COUNTED: Final = 100
"""Uploads that are counted: of each is asked when something of it came."""

HOW: Final = "docs/object-storage.md"

HEADERS: Final = frozenset({"content-type", "if-none-match", *(f"x-amz-meta-{name}" for name in OURS)})
"""What a direct upload in one request must send; a part needs none."""

ANYBODY: Final = "https://page-of-anybody.example"
"""An origin that no rule names."""


async def look_at_uploads(storage: Storage, settings: Settings, bucket: str) -> list[Finding]:
    """Look at what one bucket says of uploads."""
    found = [each async for each in _left(storage, bucket)]
    # Where clients do not reach S3, no page can send anything there.
    return [*found, await _pages(storage, settings, bucket)] if settings.s3_public_endpoint else found


async def _left(storage: Storage, bucket: str) -> AsyncIterator[Finding]:
    count, oldest = 0, datetime.now(UTC)
    try:
        async for key in storage.unfinished(
            bucket, "", before=datetime.now(UTC) - OLD, is_ours=lambda _: True
        ):
            count, oldest = count + 1, min(oldest, key.begun or oldest)
            if count == COUNTED:
                break
    except Unavailable as error:
        yield unknown("s3", f"bucket {bucket}: uploads that never ended cannot be listed ({error})"[:300])
        return
    if not count:
        yield ok("s3", f"bucket {bucket}: nothing is left of uploads that never ended")
        return
    how_many = f"{COUNTED} or more" if count == COUNTED else str(count)
    yield warning(
        "s3",
        f"bucket {bucket}: {how_many} uploads in parts stand still for more than a day, the oldest since "
        f"{oldest:%Y-%m-%d}; what has arrived of them takes room",
        f"abort them, and add a lifecycle rule that does: {HOW}, 'What is left of uploads'",
    )


async def _pages(storage: Storage, settings: Settings, bucket: str) -> Finding:
    """Ask as browsers do; what rules say is not always what a server does."""
    url = f"{presigner(settings).origin}/{bucket}/{input_object(str(uuid4()))}"
    try:
        if await storage.lets_pages_write(url, ANYBODY, HEADERS):
            return ok("s3", f"bucket {bucket}: every page may send files to it, with a URL that Kadr signed")
        origins = await storage.writing_origins(bucket)
        named = [each for each in origins if "*" not in each]
        refused = [each for each in named if not await storage.lets_pages_write(url, each, HEADERS)]
    except Unavailable as error:
        return unknown(
            "s3", f"bucket {bucket}: whether pages may send files to it cannot be told ({error})"[:300]
        )
    if not origins:
        return unknown(
            "s3",
            f"bucket {bucket}: no page may send files to it. Kadr's own does not; yours may be meant to",
            f"for direct uploads from a browser: {HOW}, 'Browsers'",
        )
    if refused:
        return unknown(
            "s3",
            f"bucket {bucket}: a CORS rule names {', '.join(refused)}, and uploads from there are refused",
            f"allow PUT and the headers {', '.join(sorted(HEADERS))}: {HOW}, 'Browsers'",
        )
    return ok("s3", f"bucket {bucket}: pages of {', '.join(origins)} may send files to it")

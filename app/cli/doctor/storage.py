"""Buckets, and what the server does with them by itself."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from app.cli.doctor.clocks import REMEDY, compare
from app.cli.doctor.findings import Finding, ok, unknown, warning, wrong
from app.cli.doctor.uploads import look_at_uploads
from app.clients.s3.storage import Storage, open_storage
from app.domain.objects import (
    DELETED_PREFIX,
    DERIVED_PREFIX,
    DETECTION_PREFIX,
    FAILED_PREFIX,
    INPUT_PREFIX,
)
from app.errors import NoRoom, Unavailable
from app.settings import Settings

OURS: Final = (INPUT_PREFIX, DETECTION_PREFIX, FAILED_PREFIX, DERIVED_PREFIX, DELETED_PREFIX)

SECOND: Final = timedelta(seconds=1)
"""How finely S3 tells times."""

SKEWED: Final = "RequestTimeTooSkewed"
"""S3's code for a request that was signed at another time than its own."""


async def look_at_storage(settings: Settings) -> list[Finding]:
    """Look at each bucket, and write and remove one small object in it.

    Raises:
        Unavailable: the server does not answer.
    """
    async with open_storage(settings) as storage:
        try:
            return [each for name in settings.buckets for each in await _bucket(storage, settings, name)]
        except Unavailable as error:
            if SKEWED in str(error):
                return [wrong("clocks", "S3's time is another one than ours: it refuses requests", REMEDY)]
            raise


async def _bucket(storage: Storage, settings: Settings, name: str) -> list[Finding]:
    if not await storage.has_bucket(name):
        return [
            warning("s3", f"there is no bucket {name}", "start the API, which makes it, or make it yourself")
        ]
    found = [*await _canary(storage, name), *await _rules(storage, name)]
    return [*found, *await look_at_uploads(storage, settings, name)]


async def _canary(storage: Storage, bucket: str) -> list[Finding]:
    """Write an object, look at it and remove it; its time is the server's."""
    name, asked = f"kadr-doctor/{uuid4()}", datetime.now(UTC)
    try:
        await storage.put(bucket, name, b"1", content_type="text/plain")
    except NoRoom as error:
        return [wrong("s3", f"bucket {bucket}: {error}", "make room: docs/operations.md, 'A full disk'")]
    answered, facts = datetime.now(UTC), await storage.stat(bucket, name)
    await storage.delete(bucket, name)
    if facts is None:
        return [wrong("s3", f"bucket {bucket} loses what was just written", "look at the S3 server's log")]
    clock = compare("S3", facts.modified, asked=asked, answered=answered, precision=SECOND)
    return [ok("s3", f"bucket {bucket} can be written to and read"), clock]


async def _rules(storage: Storage, bucket: str) -> list[Finding]:
    try:
        rules = await storage.rules(bucket)
    except Unavailable as error:
        return [unknown("s3", f"bucket {bucket}: its rules cannot be read ({error})"[:300])]
    found = []
    ours = [
        rule
        for rule in rules.expiring
        if any(each.startswith(rule) or rule.startswith(each) for each in OURS)
    ]
    if ours:
        shown = ", ".join(rule or "everything" for rule in ours)
        found.append(
            wrong(
                "s3",
                f"bucket {bucket} lets the server remove objects by age: {shown}; videos in work lose their "
                "inputs, and lists name results that are gone",
                "remove that lifecycle rule and set RETENTION_DAYS",
            )
        )
    if rules.is_versioned:
        found.append(
            warning(
                "s3",
                f"bucket {bucket} is versioned: what Kadr deletes goes on taking room",
                "add a lifecycle rule that removes noncurrent versions",
            )
        )
    if rules.aborts_after == 1:
        found.append(
            warning(
                "s3",
                f"bucket {bucket} lets the server abort uploads a day after they were begun: those that take "
                "longer lose their parts",
                "let that lifecycle rule wait for 7 days",
            )
        )
    return found

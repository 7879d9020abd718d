"""Whether everybody has the same time."""

from datetime import datetime, timedelta
from typing import Final

from app.cli.doctor.findings import Finding, ok, warning, wrong

TOLERATED: Final = timedelta(seconds=5)
"""Leases last 15 s and more, and are renewed long before they end."""

REFUSED: Final = timedelta(minutes=15)
"""From here on an S3 server refuses what we sign (AWS Signature Version 4)."""

REMEDY: Final = "set both clocks by NTP: `timedatectl set-ntp true`, or chrony"


def compare(
    peer: str, theirs: datetime, *, asked: datetime, answered: datetime, precision: timedelta = timedelta()
) -> Finding:
    """Say how far somebody's clock is from ours; both are aware.

    Args:
        peer: whose it is.
        theirs: what it said.
        asked: ours, before.
        answered: ours, afterwards; theirs was read somewhere in between.
        precision: it may have said that much less than it was.
    """
    ahead, behind = theirs - answered, asked - (theirs + precision)
    off = max(ahead, behind, timedelta())
    direction = "ahead of" if ahead > behind else "behind"
    said = f"{peer} is {off.total_seconds():.1f} s {direction} this machine"
    if off >= REFUSED:
        return wrong("clocks", f"{said}: S3 refuses requests, and leases end too soon or never", REMEDY)
    if off > TOLERATED:
        return warning("clocks", said, REMEDY)
    return ok("clocks", f"{peer} has our time")

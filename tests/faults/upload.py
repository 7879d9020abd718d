"""An upload as a patient client makes it: again and again until it is acknowledged."""

import time
from pathlib import Path
from typing import Final

import httpx

from tests.support.plain_http import PLAIN

ACCEPTED_WITHIN: Final = 150.0
"""Seconds for which a client tries; no outage is longer."""

PAUSE: Final = 0.3


class NotAccepted(Exception):
    """An upload was refused, or not accepted for as long as a client waits."""


def upload(url: str, path: Path, *, seconds: float = ACCEPTED_WITHIN) -> str:
    """Upload a video until that is acknowledged and return its id.

    Raises:
        NotAccepted: it was refused for good, or not accepted in time.
    """
    deadline = time.monotonic() + seconds
    with httpx.Client(base_url=url, timeout=30, trust_env=False, verify=PLAIN) as api:
        while True:
            seen = _try(api, path)
            if isinstance(seen, httpx.Response) and seen.status_code == httpx.codes.OK:
                return str(seen.json()["event_id"])
            if isinstance(seen, httpx.Response) and seen.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                raise NotAccepted(f"{path.name} was refused: {seen.status_code} {seen.text}")
            if time.monotonic() > deadline:
                raise NotAccepted(f"{path.name} was not accepted for {seconds:.0f} s: {seen}")
            time.sleep(PAUSE)


def _try(api: httpx.Client, path: Path) -> httpx.Response | httpx.HTTPError:
    try:
        with path.open("rb") as file:
            return api.post("/api/upload_video", files={"file": (path.name, file)})
    except httpx.HTTPError as error:
        return error

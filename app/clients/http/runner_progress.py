"""How far a video is, as a runner tells over HTTP; best effort, because nothing depends on it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Struct, field

from app.clients.presence import Presence
from app.errors import Unavailable

SERVICE: Final = "The runner"

WITHIN: Final = 1.0
"""Seconds for an answer: who asks about a video has the rest of what is known of it by then."""

LARGEST: Final = 64 << 10
"""Bytes of an answer; some 600 are usual."""

AT_ONCE: Final = 20
"""Connections to the runner."""


class StageTimes(Struct, frozen=True):
    """When each stage was reached, in RFC 3339; None where it was not, or the runner is too old to tell."""

    accepted: str | None = None
    decoding: str | None = None
    decoded: str | None = None
    detected: str | None = None
    ready: str | None = None


class RunnerProgress(Struct, frozen=True):
    """How far an attempt at a video is; every field but the first two has a default, for older runners.

    Attributes:
        status: `processing`, `predictable`, `ready`, `failed` or `cancelled`.
        stage: `queued`, `fetching`, `decoding`, `detecting` or `writing`; else as the status.
        frames_done: sampled frames whose results are there.
        frames_total: sampled frames of the video; None as long as it is not decoded.
        frames_expected: the same as the file's container says; None as long as it was not opened.
        frames_split: sampled frames that are on their way or done.
        queue_position: videos that wait and are before it.
        seconds_decoding: since its first decoder was started.
    """

    attempt: int
    status: str
    stage: str = ""
    frames_done: int = 0
    frames_total: int | None = None
    frames_expected: int | None = None
    frames_split: int = 0
    queue_position: int = 0
    seconds_decoding: float | None = None
    times: StageTimes = field(default_factory=StageTimes)

    @property
    def total(self) -> int | None:
        """How many frames there will be, as far as is known."""
        return self.frames_expected if self.frames_total is None else self.frames_total

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of this attempt."""
        return self.status not in {"processing", "predictable"}


class RunnerAnswers:
    """Asks any runner; each of them reads the same records.

    Args:
        client: of the runner's address.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._presence = Presence(SERVICE)

    async def progress_of(self, video_id: str) -> RunnerProgress | None:
        """Return how far a video is; None when the runner does not know it (yet).

        Raises:
            Unavailable: no runner answers in time, or not what we understand.
        """
        begun = time.monotonic()
        try:
            async with asyncio.timeout(WITHIN):
                status, body = await self._get(f"/progress/{quote(video_id, safe='')}")
            if status == httpx.codes.NOT_FOUND:
                found = None
            elif status == httpx.codes.OK:
                found = msgspec.json.decode(body, type=RunnerProgress)
            else:
                raise self._presence.lost(f"status {status}", begun=begun)
        except (httpx.HTTPError, TimeoutError, msgspec.DecodeError) as error:
            raise self._presence.lost(str(error) or "no answer in time", begun=begun) from error
        self._presence.answered()
        return found

    async def _get(self, path: str) -> tuple[int, bytes]:
        async with self._client.stream("GET", path) as answer:
            body = bytearray()
            async for piece in answer.aiter_bytes(LARGEST):
                body += piece
                if len(body) > LARGEST:
                    raise Unavailable(SERVICE, f"an answer of more than {LARGEST} bytes")
            return answer.status_code, bytes(body)


@asynccontextmanager
async def open_runner_answers(url: str) -> AsyncIterator[RunnerAnswers]:
    """Yield a client of the runner at this address; it connects when it is first used."""
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    headers = {"Accept": "application/json"}
    async with httpx.AsyncClient(
        base_url=url, timeout=WITHIN, limits=limits, headers=headers, trust_env=False
    ) as client:
        yield RunnerAnswers(client)

"""A runner as the API asks it for pictures and renderings. Knows httpx."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import httpx
import msgspec
from msgspec import Struct

from app.domain.messages import Failure
from app.domain.renderings import SIGNATURE, FrameAsked, RenderingAsked, RenderingState, sign
from app.errors import Missing, RetryLater, Unavailable, Undecodable
from app.settings import Settings

logger = logging.getLogger(__name__)

_S = TypeVar("_S", bound=Struct)

SERVICE: Final = "The runner"

PATIENCE: Final = 10.0
"""Seconds on top of those in which a frame is found: for fetching the video. What takes longer is fetched all
the same, and there when the client asks again."""

ASK_WITHIN: Final = 5.0
"""Seconds for the answer how far a rendering is."""

CONNECT_WITHIN: Final = 2.0


class RunnerBusy(RetryLater):
    """The runner has as much to do as it takes on."""


class Renderer:
    """A runner, which makes pictures and videos of videos.

    Every call raises `Unavailable` when it does not answer, and `RunnerBusy` when it takes on no more.

    Args:
        client: of its address.
        secret: what proves who we are.
        frame_within: seconds in which a frame is found.
    """

    def __init__(self, client: httpx.AsyncClient, *, secret: str, frame_within: float) -> None:
        self._client = client
        self._secret = secret
        self._frame_timeout = httpx.Timeout(frame_within + PATIENCE, connect=CONNECT_WITHIN)

    async def frame(self, asked: FrameAsked) -> bytes:
        """Return a frame as a JPEG.

        Raises:
            Missing: the video, or the result where boxes are wanted, is not there.
            Undecodable: there is no such frame, or the video is none.
        """
        answer = await self._ask("/frame", msgspec.json.encode(asked), self._frame_timeout)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise Missing(f"The frame {asked.frame} of {asked.video_id}")
        if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            error = _decode(answer.content, _Failed).error
            raise Undecodable(error.code, error.message)
        return answer.content

    async def rendering(self, asked: RenderingAsked) -> RenderingState:
        """Let a rendering be made; return how far it is."""
        timeout = httpx.Timeout(ASK_WITHIN, connect=CONNECT_WITHIN)
        answer = await self._ask("/rendering", msgspec.json.encode(asked), timeout)
        return _decode(answer.content, RenderingState)

    async def _ask(self, path: str, body: bytes, patience: httpx.Timeout) -> httpx.Response:
        headers = {SIGNATURE: sign(self._secret, body), "Content-Type": "application/json"}
        try:
            answer = await self._client.post(path, content=body, headers=headers, timeout=patience)
        except httpx.HTTPError as error:
            raise Unavailable(SERVICE, str(error) or type(error).__name__) from error
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise RunnerBusy("The runner has as much to do as it takes on")
        if answer.status_code == httpx.codes.FORBIDDEN:
            logger.error("the runner refuses us: it has another MINIO_SECRET_KEY")
        known = (httpx.codes.OK, httpx.codes.NOT_FOUND, httpx.codes.UNPROCESSABLE_ENTITY)
        if answer.status_code not in known:
            raise Unavailable(SERVICE, f"HTTP status {answer.status_code}")
        return answer


class _Failed(Struct):
    error: Failure


def _decode(data: bytes, as_type: type[_S]) -> _S:
    try:
        return msgspec.json.decode(data, type=as_type)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unavailable(SERVICE, "answered with what is no answer") from error


@asynccontextmanager
async def open_renderer(settings: Settings) -> AsyncIterator[Renderer]:
    """Yield the runner that the settings name; nothing is asked yet."""
    async with httpx.AsyncClient(base_url=settings.runner_url, trust_env=False) as client:
        yield Renderer(
            client,
            secret=settings.minio_secret_key.get_secret_value(),
            frame_within=settings.frame_within.total_seconds(),
        )

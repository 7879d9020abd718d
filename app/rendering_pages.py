"""The two pages of a runner that make something: for Kadr's API only, which proves who it is."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from faust.web import View

from app.decoding.process import DecoderCrashed
from app.domain.messages import Failure
from app.domain.renderings import (
    SIGNATURE,
    FrameAsked,
    RenderingAsked,
    RenderingState,
    is_signed,
    read_frame_asked,
    read_rendering_asked,
)
from app.errors import Missing, Rejected, RetryLater
from app.rendering.stills import Busy
from app.worker import Worker

LONGEST: Final = 16 << 10
"""Bytes of a request: the name of an object has at most 1,024, each of which JSON may write as six."""

Answer = Callable[[bytes], Awaitable[tuple[bytes, str]]]


def attach_renderings(
    worker: Worker[Any],
    *,
    frame: Callable[[FrameAsked], Awaitable[bytes]],
    rendering: Callable[[RenderingAsked], Awaitable[RenderingState]],
) -> None:
    """Serve `/frame` and `/rendering`: what is wanted comes as JSON (`app.domain.renderings`), signed."""
    secret = worker.settings.minio_secret_key.get_secret_value()

    async def make_frame(body: bytes) -> tuple[bytes, str]:
        return await frame(read_frame_asked(body)), "image/jpeg"

    async def ask_rendering(body: bytes) -> tuple[bytes, str]:
        return msgspec.json.encode(await rendering(read_rendering_asked(body))), "application/json"

    for path, answer in (("/frame", make_frame), ("/rendering", ask_rendering)):
        worker.page(path)(_page(answer, secret))


def _page(answer: Answer, secret: str) -> type:
    class Page(View):  # type: ignore[misc]  # Faust has no types
        """Called by the API when a client wants something made."""

        async def post(self, request: Any) -> Any:  # noqa: ANN401 - Faust has no types
            """Make it, or say how far it is, or why it cannot be."""
            body = await _bounded(request)
            if body is None:
                return self.json({"error": "too long"}, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            if not is_signed(secret, body, request.headers.get(SIGNATURE, "")):
                return self.json({"error": "this is for Kadr's API only"}, status=HTTPStatus.FORBIDDEN)
            try:
                content, kind = await answer(body)
            except (Rejected, RetryLater) as error:
                status, said = _refusal(error)
                return self.json(said, status=status)
            return self.bytes(content, content_type=kind)

    return Page


async def _bounded(request: Any) -> bytes | None:  # noqa: ANN401 - Faust has no types
    """Return the body of a request; None when it is longer than any of ours."""
    body = b""
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > LONGEST:
            return None
    return body


def _refusal(error: Rejected | RetryLater) -> tuple[HTTPStatus, dict[str, Any]]:
    match error:
        case Busy():
            return HTTPStatus.TOO_MANY_REQUESTS, {"error": str(error)}
        case Missing():
            return HTTPStatus.NOT_FOUND, {"error": str(error)}
        case DecoderCrashed():
            failure = error.failure
        case Rejected():
            failure = Failure(error.code, error.reason)
        case _:
            return HTTPStatus.SERVICE_UNAVAILABLE, {"error": str(error)}
    return HTTPStatus.UNPROCESSABLE_ENTITY, {"error": msgspec.to_builtins(failure)}

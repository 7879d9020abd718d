"""A request whose body is a video: who may send how much, how slowly, and where it goes."""

from collections.abc import AsyncIterator, Callable

from starlette.datastructures import Headers
from starlette.requests import Request

from api.access.keys import Caller
from api.dependencies import Services
from api.intake.admission import refusal_of, upload_limit
from api.intake.forms import FORM, FRAMING
from api.intake.sent import SentFile
from api.intake.upload import ReadOrder, Uploaded, default_bucket, in_buckets, read_through, receive_video
from api.transport.pace import Paced, Patience
from app.clients.s3.storage import TooLarge
from app.failpoints import failpoint

OpenFile = Callable[[AsyncIterator[bytes], int], SentFile]
"""Says how a file is sent: from the pieces of a body, and the bytes that the file may have."""


class Incoming:
    """A request whose body is a video, alone or in a form. The body can be read once.

    Args:
        request: the request.
        services: what is used.
        open_file: how the video is sent.
        read: reads what is said of it.
    """

    def __init__(self, request: Request, services: Services, *, open_file: OpenFile, read: ReadOrder) -> None:
        self._request = request
        self._services = services
        self._open_file = open_file
        self._read = in_buckets(read, services.settings.buckets)

    async def keep(self, caller: Caller, video_id: str, *, is_digested: bool) -> Uploaded:
        """Write the video to S3, as this one's input; whatever goes wrong, nothing is left of it.

        Raises:
            OverQuota: the caller may not upload so much now.
            TooLarge: it is larger than an upload may be.
            Busy: all places for uploads are taken.
            NoRoom: the disk is nearly full.
            Invalid, Stalled, Unavailable: see `receive_video`.
        """
        limit = await upload_limit(self._services, caller)
        try:
            self._services.room.require(self._check_length(limit))
            with self._services.places.taken():
                uploaded = await receive_video(
                    await self._opened(limit, is_kept=True),
                    video_id=video_id,
                    storage=self._services.storage,
                    read=self._read,
                    default=default_bucket(self._services.settings.buckets),
                    limit=limit,
                    is_digested=is_digested,
                )
        except TooLarge as error:
            raise refusal_of(self._services, caller, limit) from error
        failpoint("upload.stored", video_id)
        return uploaded

    async def look(self) -> Uploaded:
        """Read the video to its end and keep nothing of it; no quota is used.

        Raises:
            TooLarge, Busy, Invalid, Stalled, Unavailable: as above.
        """
        limit = self._services.settings.max_upload_bytes
        self._check_length(limit)
        default = default_bucket(self._services.settings.buckets)
        with self._services.places.taken():
            return await read_through(
                await self._opened(limit), read=self._read, default=default, limit=limit
            )

    def _check_length(self, limit: int) -> int:
        """Return how many bytes are announced; 0 where none are."""
        said = self._request.headers.get("content-length", "")
        size = int(said) if said.isdecimal() else 0
        if size > limit + FRAMING:
            raise TooLarge(limit)
        return size

    async def _opened(self, limit: int, *, is_kept: bool = False) -> SentFile:
        body: AsyncIterator[bytes] = Paced(self._request.stream(), Patience.of(self._services.settings))
        if is_kept:
            body = self._services.room.while_there_is(body)
        opened = self._open_file(body, limit)
        await self._services.readiness.require()  # before a body is read that could not be kept
        return opened


def media_type(headers: Headers) -> str:
    """Return what a request says that its body is, without parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def is_form(headers: Headers) -> bool:
    """Return whether a request announces a form."""
    return media_type(headers) == FORM


def is_video(headers: Headers) -> bool:
    """Return whether a request announces that its body is a video."""
    return media_type(headers).startswith("video/")

"""Kadr itself, as its command line sees it: the REST API, and the runner's progress. Knows httpx."""

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import httpx
import msgspec
from msgspec import Struct

from app.domain.messages import Failure, ModelFacts
from app.domain.sentences import ClientStatus
from app.errors import Malformed, Missing, Rejected, Unavailable

UPLOAD_PATH: Final = "/api/upload_video"

UPLOAD_TIMEOUT: Final = httpx.Timeout(60, connect=3)
"""Seconds for each step: storing a piece may take a while on a busy disk."""

TIMEOUT: Final = httpx.Timeout(15, connect=3)

LARGEST_NOTE: Final = 64 << 10
"""Bytes. Only a result is longer than this; how far a video is, and why it failed, are a line each."""

OnSent: TypeAlias = Callable[[int], None]
_S = TypeVar("_S", bound=Struct)


@dataclass(frozen=True)
class Addresses:
    """Where the processes are that are spoken to, each as a URL without a slash at its end."""

    api: str
    runner: str
    inference: str


class Operation(Struct, frozen=True):
    """A video and how far it is."""

    video_id: str
    status_code: ClientStatus
    status_description: str


class Operations(Struct, frozen=True):
    """The newest videos, and how many there are altogether."""

    operations: list[Operation]
    total: int


class Progress(Struct, frozen=True):
    """How far the runner is with a video; frames are sampled ones, their total is known after splitting."""

    status: str
    stage: str = ""
    frames_done: int = 0
    frames_total: int | None = None
    frames_split: int = 0


class Note(Struct, frozen=True):
    """How far a video is, or why it failed: every answer that is not a result."""

    status: ClientStatus
    error: Failure | None = None


@dataclass(frozen=True)
class Answer:
    """What the API answers when it is asked for a result.

    Attributes:
        note: `ready` with the result in `pieces`, or what there is to say instead.
        pieces: the body, byte for byte.
    """

    note: Note
    pieces: Iterator[bytes]


class KadrApi:
    """A running Kadr. Open it with `open_kadr_api`.

    Every call raises `Unavailable` when the API does not answer, `Missing` for an unknown video and
    `Rejected` for what it refuses.
    """

    def __init__(self, client: httpx.Client, addresses: Addresses) -> None:
        self._client = client
        self._addresses = addresses

    def upload(self, file: Path, *, bucket: str | None, on_sent: OnSent) -> str:
        """Upload a video; answers its id.

        Args:
            file: the video.
            bucket: where it is kept; None leaves that to the API.
            on_sent: told the number of bytes each time some have left.
        """
        form = {"bucket": bucket} if bucket else {}
        with _CountedFile(file, on_sent) as body:
            files = {"file": (file.name, body)}
            answer = self._ask("POST", UPLOAD_PATH, data=form, files=files, timeout=UPLOAD_TIMEOUT)
        return _decode(answer.content, _Accepted).event_id

    def newest(self, limit: int) -> Operations:
        """The newest videos."""
        return _decode(self._ask("GET", "/api/status/all", params={"limit": limit}).content, Operations)

    def note_of(self, video_id: str) -> Note:
        """How far a video is; costs little, however long its result is."""
        with self.answer(video_id) as answer:
            return answer.note

    @contextlib.contextmanager
    def answer(self, video_id: str) -> Iterator[Answer]:
        """Yield what the API answers for a video; a result is read while it is used."""
        url = f"{self._addresses.api}/api/result_video/{video_id}"
        with _translated(), self._client.stream("GET", url) as response:
            if response.is_error:
                response.read()
                _raise_for(response, f"the video {video_id}")
            pieces = response.iter_bytes()
            first, is_whole = _first_bytes(pieces)
            note = _decode(first, Note) if is_whole else Note("ready")
            yield Answer(note, _chained(first, pieces))

    def progress(self, video_id: str) -> Progress | None:
        """How far the runner is; None when it is away or does not know the video yet."""
        try:
            answer = self._client.get(f"{self._addresses.runner}/progress/{video_id}")
            return _decode(answer.content, Progress) if answer.is_success else None
        except (httpx.HTTPError, Malformed):
            return None

    def model(self) -> ModelFacts | None:
        """The model in use; None when inference is away."""
        try:
            answer = self._client.get(f"{self._addresses.inference}/data")
            return _decode(answer.content, _Inference).model if answer.is_success else None
        except (httpx.HTTPError, Malformed):
            return None

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own keywords
        with _translated():
            answer = self._client.request(method, f"{self._addresses.api}{path}", **request)
        _raise_for(answer, path)
        return answer


@contextlib.contextmanager
def open_kadr_api(addresses: Addresses) -> Iterator[KadrApi]:
    """Yield a client of a running Kadr; nothing is asked yet."""
    # Proxies named in the environment are for the world outside, and Kadr runs here.
    with httpx.Client(timeout=TIMEOUT, trust_env=False, headers={"Accept-Language": "en"}) as client:
        yield KadrApi(client, addresses)


class _Accepted(Struct):
    event_id: str


class _Inference(Struct):
    model: ModelFacts


class _Problem(Struct):
    detail: str = ""
    code: str = ""


class _CountedFile(io.BufferedReader):
    """A file that tells how much was read of it."""

    def __init__(self, path: Path, on_read: OnSent) -> None:
        super().__init__(io.FileIO(path))
        self._on_read = on_read

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._on_read(len(data))
        return data


def _first_bytes(pieces: Iterator[bytes]) -> tuple[bytes, bool]:
    """Return the first bytes, enough to tell a note from a result, and whether they are all."""
    first = b""
    for piece in pieces:
        first += piece
        if len(first) > LARGEST_NOTE:
            return first, False
    return first, True


def _chained(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from pieces


def _raise_for(answer: httpx.Response, what: str) -> None:
    if answer.is_success:
        return
    try:
        problem = _decode(answer.content, _Problem)
    except Malformed:
        problem = _Problem()
    detail = problem.detail or f"HTTP status {answer.status_code}"
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise Missing(what)
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise Unavailable("Kadr", detail)
    raise Rejected(problem.code or "refused", detail)


def _decode(data: bytes, as_type: type[_S]) -> _S:
    try:
        return msgspec.json.decode(data, type=as_type)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed("the answer", error) from error


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except httpx.InvalidURL as error:
        raise Unavailable("Kadr", error) from error
    except httpx.ConnectError as error:
        raise Unavailable(f"Kadr at {_origin(error)}", f"{error} (does `kadr up` run?)") from error
    except httpx.RequestError as error:
        raise Unavailable(f"Kadr at {_origin(error)}", str(error) or type(error).__name__) from error


def _origin(error: httpx.RequestError) -> str:
    url = error.request.url
    return f"{url.scheme}://{url.netloc.decode()}"

"""What a call is made of: steps that somebody else takes, so that every call is written once.

A call is a generator, a *flow*. It yields a step whenever something outside has to be done and gets what came
of it, or the error; what it returns is what the caller gets. Nothing here and in the flows does any I/O: two
transports take the steps, one that blocks and one that awaits.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Generic, TypeAlias, TypeVar

from app.client.sources import Body
from app.errors import KadrError

T = TypeVar("T")
R = TypeVar("R")

Pairs: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request.

    Attributes:
        method: such as `GET`.
        path: below Kadr's address; or a whole URL of another server, which is not sent the key.
        query: names and values, in order.
        headers: beside those that every request has.
        body: bytes, or a file's.
        may_repeat: whether it may be sent again when nobody knows what became of it.
    """

    method: str
    path: str
    query: Pairs = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Body = b""
    may_repeat: bool = True

    @property
    def can_repeat(self) -> bool:
        """Whether its bytes can be sent a second time."""
        return not isinstance(self.body, Body) or self.body.source.can_repeat

    @property
    def is_foreign(self) -> bool:
        """Whether it goes to another server than Kadr's API."""
        return "://" in self.path


@dataclass(frozen=True)
class Answer:
    """An answer to a request.

    Attributes:
        status: of HTTP.
        headers: names in lower case.
        body: all of it; empty where it is read piece by piece.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_success(self) -> bool:
        """Whether the request was understood and done, or accepted."""
        return 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110, 15.3

    @property
    def retry_after(self) -> float | None:
        """Seconds until it is worth to ask again (RFC 9110, 10.2.3); None where nobody said."""
        text = self.headers.get("retry-after", "")
        if text.isascii() and text.isdecimal():
            return float(text)
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return None
        return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


@dataclass(frozen=True)
class Send:
    """Send a request and read the whole answer."""

    request: Request


@dataclass(frozen=True)
class Open:
    """Send a request and read the head of the answer; an answer that is an error is read whole."""

    request: Request


@dataclass(frozen=True)
class Read:
    """Read some more of the answer that was opened last; no bytes are its end."""


@dataclass(frozen=True)
class Close:
    """Read no more of it."""


@dataclass(frozen=True)
class Sleep:
    """Let time pass."""

    seconds: float


@dataclass(frozen=True)
class Work:
    """Do something that may block, such as writing to a disk."""

    do: Callable[[], object]


@dataclass(frozen=True)
class Give(Generic[T]):
    """Hand something to the caller, who may want no more."""

    item: T


Step: TypeAlias = Send | Open | Read | Close | Sleep | Work
Reply: TypeAlias = Answer | bytes | None
Flow: TypeAlias = Generator[Step, Reply, R]
Items: TypeAlias = Generator[Step | Give[T], Reply, None]


class Running(Generic[T, R]):
    """A flow under way, for a driver: which step is next, and what came of it in the end.

    Attributes:
        step: the next one; None when there is none.
        result: what the flow has returned then.
    """

    step: Step | Give[T] | None
    result: R

    def __init__(self, flow: Generator[Step | Give[T], Reply, R]) -> None:
        self._flow = flow
        self.reply(None)

    def reply(self, reply: Reply) -> None:
        """Say what came of the step."""
        self._advance(lambda: self._flow.send(reply))

    def fail(self, error: KadrError) -> None:
        """Say that the step has failed."""
        self._advance(lambda: self._flow.throw(error))

    def close(self) -> None:
        """End it where it is."""
        self._flow.close()

    def _advance(self, advance: Callable[[], Step | Give[T]]) -> None:
        try:
            self.step = advance()
        except StopIteration as end:
            self.step, self.result = None, end.value


def send(request: Request) -> Flow[Answer]:
    """Send a request; answers with the whole answer, whatever it says.

    Raises:
        Unreachable: there was none.
    """
    return _answer((yield Send(request)))


def open_answer(request: Request) -> Flow[Answer]:
    """Send a request; answers with the head of the answer, or with all of one that is an error.

    Raises:
        Unreachable: there was none.
    """
    return _answer((yield Open(request)))


def read_piece() -> Flow[bytes]:
    """Return some more bytes of the answer that was opened, none at its end.

    Raises:
        BrokenOff: it does not go on.
    """
    piece = yield Read()
    return piece if isinstance(piece, bytes) else b""


def sleep(seconds: float) -> Flow[None]:
    """Let time pass."""
    yield Sleep(seconds)


def work(do: Callable[[], object]) -> Flow[None]:
    """Do something that may block."""
    yield Work(do)


def each_item(items: Items[T], on_item: Callable[[T], object]) -> Flow[None]:
    """Do what a flow of items does, and hand each of them to a function instead of the caller."""
    running: Running[T, None] = Running(items)
    try:
        while (step := running.step) is not None:
            if isinstance(step, Give):
                on_item(step.item)
                running.reply(None)
                continue
            try:
                reply = yield step
            except KadrError as error:
                running.fail(error)
            else:
                running.reply(reply)
    finally:
        running.close()


def _answer(reply: Reply) -> Answer:
    if not isinstance(reply, Answer):
        raise TypeError(reply)
    return reply

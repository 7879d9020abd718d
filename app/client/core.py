"""What every call has in common: it is tried again while that makes sense, and its answer is read."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from app.client.errors import BrokenOff, TooBusy, Unreachable, Unreadable, error_about, error_of
from app.client.retries import Retries, is_computing
from app.client.steps import Answer, Close, Flow, Pairs, Request, open_answer, send, sleep

VIDEOS: Final = "/api/v1/videos"
JSON: Final = {"Content-Type": "application/json"}

S = TypeVar("S", bound=Struct)
R = TypeVar("R")


@dataclass(frozen=True)
class Asked:
    """What came of a request.

    Attributes:
        answer: the last one.
        is_doubtful: whether a try before it may have been done although nobody answered.
    """

    answer: Answer
    is_doubtful: bool


@dataclass
class Contact:
    """Whether anybody was ever there: who was is waited for longer than who never was."""

    was_there: bool = False


@dataclass(frozen=True)
class Core:
    """What calls stand on.

    Attributes:
        retries: how patient they are.
        clock: seconds that never go back.
        contact: with Kadr, so far.
    """

    retries: Retries = field(default_factory=Retries)
    clock: Callable[[], float] = time.monotonic
    contact: Contact = field(default_factory=Contact)

    def patient(self, seconds: float | None) -> "Core":
        """Return one that waits for so long for what is made when it is asked for; None changes nothing."""
        return self if seconds is None else replace(self, retries=replace(self.retries, patience=seconds))

    def ask(self, request: Request, *, begin: Callable[[Request], Flow[Answer]] = send) -> Flow[Asked]:
        """Send a request as often as it takes; answers with the last answer, whatever it says.

        Args:
            request: it.
            begin: sends it once.

        Raises:
            Unreachable: nobody answers.
        """
        began, silent, made, is_doubtful = self.clock(), 0, 0, False
        while True:
            try:
                answer = yield from begin(request)
            except Unreachable as error:
                silent += 1
                is_doubtful = is_doubtful or error.may_have_arrived
                is_safe = request.can_repeat and (request.may_repeat or not error.may_have_arrived)
                wait = self._after_silence(silent, since=began) if is_safe else None
                if wait is None:
                    raise
            else:
                made += 1
                self.contact.was_there = True
                wait = self._after(request, answer, made=made, waited=self.clock() - began)
                if wait is None:
                    return Asked(answer, is_doubtful)
            yield from sleep(wait)

    def fetch(self, request: Request, as_type: type[S], *, about: str = "") -> Flow[S]:
        """Send a request and read the answer.

        Args:
            request: it.
            as_type: what the answer is.
            about: the video whose result is asked for, if it is that.

        Raises:
            KadrError: it was not done; the error says why.
        """
        asked = yield from self.ask(request)
        return read_answer(require_success(asked.answer, about=about), as_type)

    def stream(self, request: Request, *, about: str = "") -> Flow[Answer]:
        """Send a request and return the head of the answer, whose body is to be read piece by piece.

        Raises:
            KadrError: it was not done; the error says why.
        """
        asked = yield from self.ask(request, begin=_open)
        return require_success(asked.answer, about=about)

    def read_again(self, read: Callable[[], Flow[R]]) -> Flow[R]:
        """Ask for something and read it piece by piece, from its beginning whenever it breaks off.

        Args:
            read: does it once.

        Raises:
            KadrError: it was not done; the error says why.
        """
        began, broken = self.clock(), 0
        while True:
            try:
                return (yield from read())
            except BrokenOff:
                broken += 1
                wait = self._after_silence(broken, since=began)
                if wait is None:
                    raise
            yield from sleep(wait)

    def _after_silence(self, made: int, *, since: float) -> float | None:
        waited = self.clock() - since
        return self.retries.after_silence(made, waited=waited, was_there=self.contact.was_there)

    def _after(self, request: Request, answer: Answer, *, made: int, waited: float) -> float | None:
        is_undone = isinstance(_error_or_none(answer), TooBusy)
        if not request.can_repeat or not (request.may_repeat or is_undone):
            return None
        return self.retries.after_answer(answer, made=made, waited=waited)


def path_of(video_id: str, *more: str) -> str:
    """Return the path of a video, or of something of it."""
    return "/".join((VIDEOS, *(quote(each, safe="") for each in (video_id, *more))))


def pairs_of(**values: object) -> Pairs:
    """Return a query: without what is None, several values one by one, names without a `_` at their end."""
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        if value is None:
            continue
        several = value if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
        found += [(name.rstrip("_"), _text(each)) for each in several]
    return tuple(found)


def require_success(answer: Answer, *, about: str = "") -> Answer:
    """Return an answer that is what was asked for.

    Raises:
        KadrError: it is another one; the error says why.
    """
    if is_computing(answer):
        raise TooBusy("It is still being made", answer.retry_after)
    if answer.is_success:
        return answer
    raise error_about(about, answer) if about else error_of(answer)


def read_answer(answer: Answer, as_type: type[S]) -> S:
    """Return what an answer says.

    Raises:
        Unreadable: it says something else.
    """
    try:
        return msgspec.json.decode(answer.body, type=as_type)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable("the answer", error) from error


def _open(request: Request) -> Flow[Answer]:
    """Begin to read an answer; what is only a word about it, or an error, is read whole."""
    answer = yield from open_answer(request)
    if answer.body:
        yield Close()
    return answer


def _error_or_none(answer: Answer) -> Exception | None:
    return None if answer.is_success else error_of(answer)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)

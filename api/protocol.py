"""HTTP on one connection, with an end to everything a client may leave unfinished.

uvicorn waits for ever for a request's head, for the rest of a body that was refused, and for a client that
does not take its answer. Here each has its time, connections have a number, and what is no HTTP is answered
with a problem like every other error: `uvicorn api.main:api --http api.protocol:BoundedProtocol`.
"""

import asyncio
import resource
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, TypeAlias

import h11
from h11._connection import DEFAULT_MAX_INCOMPLETE_EVENT_SIZE
from starlette.responses import Response
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.access.guards import MAX_HEADERS
from api.headers import missing_headers
from api.problems import problem

HEAD_WITHIN: Final = 10.0
"""Seconds for the head of a request, from the opening of the connection or the request's first byte."""

REST_WITHIN: Final = 5.0
"""Seconds for which the rest of a refused body is still read: a client that is not heard to its end may miss
what it was told."""

TAKEN_WITHIN: Final = 60.0
"""Seconds within which a client takes some of its answer: what lies between the buffer's marks, 48 KiB."""

MAX_CONNECTIONS: Final = min(1000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
"""Connections at a time; one file each, and others need some too."""

MAX_LINES: Final = MAX_HEADERS + 1
"""Lines of a head: the request and its fields."""

SLICE: Final = 32 << 10
"""Bytes that are parsed before others have their turn. Where h11 has nothing to parse, within a body whose
length was announced, all that was read at once is handed on: 256 KiB at most."""

FINE_SLICE: Final = 1 << 10
"""The same where the bytes have many ends of lines: those of a body in tiny chunks, each of them an event."""

MANY_LINES: Final = 200
"""So many in a slice are many: that of chunks is parsed in 1 ms. Random bytes have 128, the tiniest chunks
11,000."""

HEAD_SLICE: Final = 4 << 10
"""The same of a head, whose lines are counted before they are parsed."""

DEAR: Final = 2e-3 / (32 << 10)
"""Seconds of processor time for a byte from which on it is dear. A body in pieces takes a tenth of it; one in
chunks of one byte thirty times as much."""

PAUSE: Final = 20
"""How many times as long as its last slice dear parsing then waits, that of all connections together: it gets
a twentieth of the time, however many clients see to it."""

_Phase: TypeAlias = Literal["head", "rest"]
_WITHIN: Final[dict[_Phase, float]] = {"head": HEAD_WITHIN, "rest": REST_WITHIN}


class _Turns:
    """When dear parsing may go on: that of all connections, one after the other."""

    def __init__(self) -> None:
        self._free_at = 0.0
        self._apart = 0.0

    def wait(self, now: float) -> float:
        """Take the next turn, and return the seconds until then; by the loop's clock."""
        turn = max(self._free_at, now)
        self._free_at = turn + self._apart
        return turn - now

    def note(self, size: int, seconds: float) -> None:
        """Note what a turn took, which says how far apart they are."""
        self._apart = PAUSE * seconds if seconds > DEAR * size else 0.0


class _Flow(FlowControl):
    """Reads on when nothing is left of what came, and uvicorn wants more.

    Args:
        transport: what is read from.
        on_wanted: called when uvicorn wants more while something is left.
    """

    def __init__(self, transport: asyncio.Transport, on_wanted: Callable[[], None]) -> None:
        super().__init__(transport)
        self.is_wanted = True
        self._is_cutting = False
        self._on_wanted = on_wanted

    def pause_reading(self) -> None:
        self.is_wanted = False
        super().pause_reading()

    def resume_reading(self) -> None:
        self.is_wanted = True
        if self._is_cutting:
            self._on_wanted()
        else:
            super().resume_reading()

    def begin_cutting(self) -> None:
        self._is_cutting = True
        super().pause_reading()

    def end_cutting(self) -> None:
        self._is_cutting = False
        if self.is_wanted:
            super().resume_reading()


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol with these bounds."""

    _turns = _Turns()

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own arguments
        super().__init__(*args, **kwargs)
        self.ws_protocol_class = None  # the API has no WebSockets, and what is left of a slice would be lost
        self._phase: _Phase | None = None
        self._phase_timer: asyncio.TimerHandle | None = None
        self._taken_timer: asyncio.TimerHandle | None = None
        self._idle_since = self.loop.time()
        self._flow: _Flow
        self._unread = bytearray()
        self._taking: asyncio.Handle | None = None
        self._body_left = 0
        """Bytes that are still to come of a body whose length was announced; at the end a few less."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn
        """Take a connection, in the place of the one that has waited longest where there are too many."""
        super().connection_made(transport)
        self.flow = self._flow = _Flow(transport, self._take_later)
        self._watch()
        if len(self.connections) > MAX_CONNECTIONS:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._enter(None)
        self._set_taken(None)
        self._unread.clear()
        if self._taking is not None:
            self._taking.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come, a slice at a time."""
        if len(data) <= self._body_left and not self._unread:
            self._body_left -= len(data)
            super().data_received(data)
            self._watch()
            return
        self._unread += data
        if self._taking is not None:
            self.transport.pause_reading()  # uvicorn reads on by itself where it skips the rest of a body
        elif (size := self._size()) == FINE_SLICE:
            self._flow.begin_cutting()
            self._take_later()
        else:
            self._take(size)

    def _take(self, size: int) -> None:
        self._taking = None
        piece = bytes(self._unread[:size])
        del self._unread[:size]
        begun = time.thread_time()
        if self._is_head:
            self._take_head(piece)
        else:
            self._body_left = max(0, self._body_left - len(piece))
            super().data_received(piece)
        if size == FINE_SLICE:
            self._turns.note(size, time.thread_time() - begun)
        self._watch()
        if self.transport.is_closing():
            self._unread.clear()
        elif self._unread:
            self._flow.begin_cutting()
            self._take_later()
        else:
            self._flow.end_cutting()

    def _take_head(self, piece: bytes) -> None:
        head = self.conn.trailing_data[0] + piece
        if _count_lines(head) > MAX_LINES:
            detail = f"The request's head has more than {MAX_HEADERS} fields."
            self._refuse(problem(431, code="head_too_large", detail=detail))
            return
        super().data_received(piece)
        # What has come is taken for body, so that the rest may begin early and never ends late.
        is_body = self.conn.their_state is h11.SEND_BODY
        announced = _announced_length(self.headers) if is_body else 0
        self._body_left = max(0, announced - len(head))

    @property
    def _is_head(self) -> bool:
        return self.conn.their_state is h11.IDLE

    def _size(self) -> int:
        if self._is_head:
            return HEAD_SLICE
        if self._body_left >= SLICE:
            return self._body_left
        return FINE_SLICE if _has_many_lines(self._unread) else SLICE

    def _take_later(self) -> None:
        if self._taking is None and self._unread and self._flow.is_wanted:
            size = self._size()
            wait = self._turns.wait(self.loop.time()) if size == FINE_SLICE else 0.0
            self._taking = self.loop.call_later(wait, self._take, size)

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        super().on_response_complete()
        self._idle_since = self.loop.time()
        self._watch()

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not take its answer."""
        super().pause_writing()
        self._set_taken(self.loop.call_later(TAKEN_WITHIN, self.transport.abort))

    def resume_writing(self) -> None:
        """Go on writing."""
        super().resume_writing()
        self._set_taken(None)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, and hang up."""
        limit = self.config.h11_max_incomplete_event_size or DEFAULT_MAX_INCOMPLETE_EVENT_SIZE
        if len(self.conn.trailing_data[0]) > limit:
            detail = f"More than {limit} bytes in one piece, such as the request's head."
            self._refuse(problem(431, code="head_too_large", detail=detail))
        else:
            self._refuse(problem(400, code="bad_request", detail=msg))

    def _watch(self) -> None:
        if self.transport.is_closing():
            self._enter(None)
        elif self._is_head and self.timeout_keep_alive_task is None:
            self._enter("head")
        elif self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.DONE:
            self._enter("rest")
        else:
            self._enter(None)

    def _enter(self, phase: _Phase | None) -> None:
        if phase == self._phase:
            return
        if self._phase_timer is not None:
            self._phase_timer.cancel()
        self._phase = phase
        self._phase_timer = self.loop.call_later(_WITHIN[phase], self._on_late) if phase else None

    def _on_late(self) -> None:
        if self._phase == "head" and self.conn.trailing_data[0]:
            self._refuse(problem(408, code="timeout", detail="The request's head did not come in time."))
        else:
            self.transport.close()

    def _set_taken(self, timer: asyncio.TimerHandle | None) -> None:
        if self._taken_timer is not None:
            self._taken_timer.cancel()
        self._taken_timer = timer

    def _make_room(self) -> None:
        """Close the connection that has waited longest for a request; this one where all are at work."""
        known = [each for each in self.connections if isinstance(each, BoundedProtocol)]
        others = [each for each in known if each.is_idle and each is not self]
        if others:
            min(others, key=lambda each: each.idle_since).transport.close()
        else:
            detail = f"All {MAX_CONNECTIONS} connections are at work; please try again."
            self._refuse(problem(503, code="busy", detail=detail, headers={"Retry-After": "5"}))

    @property
    def is_idle(self) -> bool:
        """Whether no request is in work here."""
        return self._is_head and not self.transport.is_closing()

    @property
    def idle_since(self) -> float:
        """When it began to wait, by the loop's clock."""
        return self._idle_since

    def _refuse(self, answer: Response) -> None:
        """Answer without asking the application, and hang up."""
        if self.cycle is not None:  # whatever it still has to say, nobody hears it
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            headers = [*answer.raw_headers, *missing_headers(answer.raw_headers), (b"connection", b"close")]
            self.transport.write(
                self.conn.send(h11.Response(status_code=answer.status_code, headers=headers))
                + self.conn.send(h11.Data(data=bytes(answer.body)))
                + self.conn.send(h11.EndOfMessage())
            )
        self.transport.close()


def _announced_length(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Return how many bytes a body has; 0 where it comes in chunks. h11 has checked the digits."""
    known = dict(headers)
    return 0 if b"transfer-encoding" in known else int(known.get(b"content-length", b"0"))


def _count_lines(head: bytes) -> int:
    end = head.find(b"\r\n\r\n")
    return head.count(b"\n", 0, end + 2 if end >= 0 else len(head))


def _has_many_lines(data: bytearray) -> bool:
    """Look at the next slice; with `find`, which is many times as fast as `count` where there are few."""
    at = -1
    for _ in range(MANY_LINES):
        at = data.find(b"\n", at + 1, SLICE)
        if at < 0:
            return False
    return True

"""A receiver of webhooks on this machine: it keeps what it gets, and answers as it is told."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""A secret: the example of Standard Webhooks."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Received:
    """A request."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class LocalReceiver:
    """A receiver.

    Attributes:
        answers: bytes for each request in turn; the last one again and again. None: it says nothing.
        received: what came.
        connections: how many were made.
        at_once: most requests at the same time.
        keeps_open: whether a connection stays open until the other side closes it.
        released: when it is set, requests that were told nothing are answered.
    """

    address: str
    port: int = 0
    answers: list[bytes | None] = field(default_factory=lambda: [OK])
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    keeps_open: bool = False
    under_way: int = 0
    at_once: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        """Where it is."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.port}/hook"

    async def wait_for(self, count: int, seconds: float) -> list[Received]:
        """Return what came, when so much of it is there."""
        async with asyncio.timeout(seconds), self._more:
            await self._more.wait_for(lambda: len(self.received) >= count)
        return self.received

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin to serve one connection."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def end(self) -> None:
        """Answer what waits, and return when no connection is left."""
        self.released.set()
        if self._serving:
            await asyncio.wait(self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.under_way += 1
        self.at_once = max(self.at_once, self.under_way)
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.under_way -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.received.append(Received(method, target, headers, body))
        async with self._more:
            self._more.notify_all()
        answer = self.answers[min(len(self.received), len(self.answers)) - 1]
        if answer is None:
            waiting = [asyncio.create_task(each) for each in (self.released.wait(), reader.read())]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for each in waiting:
                each.cancel()
            answer = OK
        writer.write(answer)
        await writer.drain()
        if self.keeps_open:
            await reader.read()


@asynccontextmanager
async def open_receiver(
    *answers: bytes | None, address: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[LocalReceiver]:
    """Yield a receiver that gives these answers, in turn."""
    receiver = LocalReceiver(address)
    if answers:
        receiver.answers = list(answers)
    server = await asyncio.start_server(receiver.serve, address, port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await receiver.end()
        await server.wait_closed()


def answer(status: str, body: bytes = b"", **headers: str) -> bytes:
    """Return an answer over HTTP; an underscore in a header's name is a hyphen."""
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return ("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])).encode() + body


def redirect(location: str, status: str = "307 Temporary Redirect") -> bytes:
    """Return a redirect."""
    return answer(status, Location=location)


def bodies(received: Sequence[Received]) -> list[bytes]:
    """Return what came, in turn."""
    return [each.body for each in received]

"""A line to a server that can be slowed down, or go dead, as no real server does when it is asked."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

PIECE = 64 << 10


class SlowLine:
    """Passes bytes on between its clients and a server.

    Attributes:
        rate: bytes a second for each connection on their way to the server; 0 is no limit.
        address: where clients find it.
    """

    def __init__(self, host: str, port: int) -> None:
        self.rate = 0
        self.address = ""
        self._target = (host, port)
        self._gate = _open_gate()
        self._connections: set[asyncio.Task[None]] = set()

    def freeze(self) -> None:
        """Pass nothing on; new connections are taken, and hang as well."""
        self._gate.clear()

    def thaw(self) -> None:
        """Go on where it was."""
        self._gate.set()

    def replace(self) -> None:
        """Let what hangs hang for ever while new connections work: another server has taken over."""
        self._gate = _open_gate()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what one connection says, in both directions."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        gate = self._gate
        with suppress(ConnectionError, asyncio.CancelledError):  # cancelled: the end of the test
            await gate.wait()
            server_reader, server_writer = await asyncio.open_connection(*self._target)
            try:
                await asyncio.gather(
                    self._pass_on(reader, server_writer, gate, rate=lambda: self.rate),
                    self._pass_on(server_reader, writer, gate, rate=lambda: 0),
                )
            finally:
                server_writer.close()
        writer.close()
        self._connections.discard(task)

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        gate: asyncio.Event,
        *,
        rate: Callable[[], int],
    ) -> None:
        while data := await reader.read(PIECE):
            await gate.wait()
            if rate():
                await asyncio.sleep(len(data) / rate())
            writer.write(data)
            await writer.drain()
        writer.close()

    async def end(self) -> None:
        """Close every connection."""
        for each in self._connections:
            each.cancel()
        if self._connections:
            await asyncio.wait(set(self._connections))


def _open_gate() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


@asynccontextmanager
async def open_slow_line(endpoint: str) -> AsyncIterator[SlowLine]:
    """Yield a line to the server at `host:port`."""
    host, _, port = endpoint.rpartition(":")
    line = SlowLine(host, int(port))
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0, limit=PIECE)
    line.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield line
    finally:
        server.close()
        await line.end()

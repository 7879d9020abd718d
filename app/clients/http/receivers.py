"""Posts messages to machines of others, and to none that they may not lead us to (httpx, httpcore).

A name is looked up once per connection; all its addresses are checked, and the connection goes to one of
those that were checked: a name that leads elsewhere a moment later (DNS rebinding) changes nothing.
TLS is still about the name. Connections are not kept, nothing is taken from the environment's proxies.
"""

import asyncio
import ipaddress
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final, TypeAlias

import httpcore
import httpx

from app.clients.lanes import QuickLane
from app.domain.receivers import Reach, Receiver, read_receiver, redirected
from app.errors import Rejected

logger = logging.getLogger(__name__)

WITHIN: Final = 15.0
"""Seconds for a try with its redirects, as Standard Webhooks recommends (15 to 30)."""

LOOK_UP_WITHIN: Final = 5.0
CONNECT_WITHIN: Final = 5.0
"""Seconds for each address: a name may have several, of which the first does not answer."""

MOST_ADDRESSES: Final = 3
"""That are tried."""

MOST_REDIRECTS: Final = 3

KEPT: Final = 200
"""Bytes of an answer that are read and kept, for whoever looks for the mistake."""

READ_WITHIN: Final = 1.0
"""Seconds for them: the status says it all."""

LOOK_UPS: Final = 8
"""Names that are looked up at a time. The call blocks a thread, for half a minute where no server answers."""

KEEPS_BODY: Final = frozenset({HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT})
"""Redirects that repeat the request; after the others a `POST` becomes a `GET`."""

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host.

Raises:
    OSError: it has none.
"""


class Refused(Exception):
    """The connection would lead where nothing may be sent."""


@dataclass(frozen=True)
class Reply:
    """What came of a try.

    Attributes:
        status: of the answer; None where there was none.
        error: why there was none, in a sentence that names no address.
        text: how the answer's body begins.
        retry_after: that header.
        seconds: how long it took.
    """

    status: int | None = None
    error: str | None = None
    text: str = ""
    retry_after: str | None = None
    seconds: float = 0.0


class Receivers:
    """Posts messages.

    Args:
        pool: makes the connections.
        reach: whom they may lead to.
    """

    def __init__(self, pool: httpcore.AsyncConnectionPool, reach: Reach) -> None:
        self._pool = pool
        self._reach = reach

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Post a message once; whatever a receiver does is a reply."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(WITHIN):
                reply = await self._follow(read_receiver(url), headers, body)
        except TimeoutError:
            reply = Reply(error=f"It did not answer within {WITHIN:.0f} s.")
        except Rejected as error:
            reply = Reply(error=f"It {error.reason}.")
        except Refused:
            reply = Reply(error="It is at an address that is not public.")
        except (httpcore.NetworkError, httpcore.TimeoutException, ssl.SSLError, OSError) as error:
            reply = Reply(error=f"It cannot be reached: {_words(error)}.")
        except httpcore.ProtocolError as error:
            reply = Reply(error=f"Its answer is no HTTP: {_words(error)}.")
        return replace(reply, seconds=round(time.monotonic() - begun, 3))

    async def _follow(self, receiver: Receiver, headers: Mapping[str, str], body: bytes) -> Reply:
        for _ in range(MOST_REDIRECTS + 1):
            self._reach.check(receiver)
            reply, location = await self._post(receiver, headers, body)
            if reply.status not in KEEPS_BODY or not location:
                return reply
            receiver = redirected(receiver, location)
        return Reply(reply.status, f"It redirects more than {MOST_REDIRECTS} times.")

    async def _post(
        self, receiver: Receiver, headers: Mapping[str, str], body: bytes
    ) -> tuple[Reply, str | None]:
        url = httpcore.URL(
            scheme=receiver.scheme, host=receiver.host, port=receiver.port, target=receiver.target
        )
        sent = {"Host": receiver.authority, "User-Agent": "Kadr", **headers}
        async with self._pool.stream("POST", url, headers=list(sent.items()), content=body) as answer:
            given = {name.lower(): value.decode("latin-1") for name, value in answer.headers}
            text = await _beginning(answer)
            reply = Reply(answer.status, text=text, retry_after=given.get(b"retry-after"))
            return reply, given.get(b"location")


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked.

    Args:
        reach: says which may be.
        resolve: looks up names.
    """

    def __init__(self, reach: Reach, resolve: Resolve) -> None:
        self._reach = reach
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's; the whole try has one
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of a host that answers.

        Raises:
            Refused: one of its addresses is not for us.
            httpcore.ConnectError: none of them answers, or there are none.
        """
        addresses = [ipaddress.ip_address(text) for text in await self._look_up(host, port)]
        if not all(self._reach.admits(host, address) for address in addresses):
            raise Refused(host)
        failed: Exception = httpcore.ConnectError("the name has no address")
        for address in addresses[:MOST_ADDRESSES]:
            within = min(timeout or CONNECT_WITHIN, CONNECT_WITHIN)
            try:
                stream = await self._network.connect_tcp(
                    str(address), port, within, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
                continue
            if _is_own(stream) and not self._reach.is_named(host, address):
                await stream.aclose()
                raise Refused(host)
            return stream
        raise failed

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        with suppress(ValueError):
            return [str(ipaddress.ip_address(host))]
        try:
            return await self._resolve(host, port)
        except (OSError, UnicodeError) as error:  # a timeout is an OSError, too
            raise httpcore.ConnectError("the name cannot be looked up") from error


@asynccontextmanager
async def open_receivers(
    reach: Reach, *, resolve: Resolve | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receivers]:
    """Yield what posts messages.

    Args:
        reach: whom they may reach.
        resolve: looks up names; the system does if it is not said.
        tls: whose certificates are believed; of `SSL_CERT_FILE`, else the usual ones, if it is not said.
    """
    lane = QuickLane("kadr-names", LOOK_UPS)

    async def ask_system(host: str, port: int) -> Sequence[str]:
        found = await lane.run(_addresses, LOOK_UP_WITHIN, host, port)
        return list(dict.fromkeys(found))

    try:
        async with httpcore.AsyncConnectionPool(
            ssl_context=tls or httpx.create_ssl_context(),
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=CheckedNetwork(reach, resolve or ask_system),
        ) as pool:
            yield Receivers(pool, reach)
    finally:
        lane.close()


def _addresses(host: str, port: int) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _is_own(stream: httpcore.AsyncNetworkStream) -> bool:
    """Whether a connection leads to this very machine, by one of its own public addresses."""
    ours, theirs = (stream.get_extra_info(name) for name in ("client_addr", "server_addr"))
    return bool(ours and theirs and ours[0] == theirs[0])


async def _beginning(answer: httpcore.Response) -> str:
    """Return the first bytes of a body as text; what comes late or breaks off does not change the answer."""
    found = b""
    with suppress(TimeoutError, httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError):
        async with asyncio.timeout(READ_WITHIN):
            async for chunk in answer.aiter_stream():
                found += chunk
                if len(found) >= KEPT:
                    break
    text = found[:KEPT].decode(errors="replace")
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()


def _words(error: Exception) -> str:
    return str(error).strip(" .")[:KEPT] or type(error).__name__

"""Where a running Kadr is found: as the command line says, else the environment, else this machine."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from app.client.addresses import find_key
from app.local.ports import Ports

if TYPE_CHECKING:
    from app.client import AsyncKadr, Kadr

TRIES: Final = 3
"""Who waits at a terminal shall soon hear that nothing answers."""


@dataclass(frozen=True)
class Addresses:
    """Where the processes are that are spoken to, each as a URL without a slash at its end, and who speaks.

    Attributes:
        api: of the API.
        inference: of an inference worker.
        key: an API key, for the API only; empty where none is needed.
    """

    api: str
    inference: str
    key: str = field(default="", repr=False)


def find_addresses(environment: Mapping[str, str], *, api: str | None = None) -> Addresses:
    """The addresses of the processes that a user's command speaks to.

    Args:
        environment: `API_URL`, or else the ports of a local stack; `KADR_API_KEY` for the API.
        api: what the command line says; it goes first.

    Raises:
        PortInvalid: a setting is not a port number.
        Misconfigured: the key cannot be one.
    """
    ports = Ports.from_environment(environment)
    return Addresses(
        api=url_of(api or environment.get("API_URL"), ports.api),
        inference=url_of(None, ports.inference),
        key=find_key(None, environment),
    )


def url_of(named: str | None, port: int) -> str:
    """Return an address without a slash at its end: the one that is named, else a port of this machine."""
    return (named or f"http://127.0.0.1:{port}").rstrip("/")


def open_kadr(api: str | None = None, *, found: Addresses | None = None) -> "Kadr":
    """Return a client of a running Kadr, to be closed; nothing is asked yet.

    Args:
        api: what the command line says.
        found: the addresses, where they are known.
    """
    from app.client import Kadr, Retries  # noqa: PLC0415 - httpx, which `kadr --help` does without

    found = found or find_addresses(os.environ, api=api)
    return Kadr(found.api, found.key, retries=Retries(tries=TRIES))


def open_async_kadr(api: str | None = None, *, found: Addresses | None = None) -> "AsyncKadr":
    """Return one for asyncio: for what takes a while, and is more patient."""
    from app.client import AsyncKadr  # noqa: PLC0415 - see `open_kadr`

    found = found or find_addresses(os.environ, api=api)
    return AsyncKadr(found.api, found.key)

"""Where a webhook may go: which URLs, which hosts, and which addresses behind them.

One reading of a URL is used for everything: for the check, for the connection and for what is sent, so that
no two parsers can see two hosts in it.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

from app.domain.public_addresses import Address, Network, is_public, plain
from app.errors import Rejected

MOST_LETTERS: Final = 2048
"""Of a URL; the proxies and servers that we know take that much."""

PRINTABLE: Final = re.compile(r"[!-\[\]-~]+")
"""ASCII without spaces and without the backslash, which some programs read as a slash."""

HOST: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")

PORTS: Final = {"http": 80, "https": 443}

FIRST_UNPRIVILEGED: Final = 1024
"""Below it are mail, DNS and the like, some of which read an HTTP request as one of theirs."""


@dataclass(frozen=True)
class Receiver:
    """A URL that webhooks are posted to, taken apart.

    Attributes:
        host: a name in small letters, or an address without brackets.
        target: path and query, as they are sent.
    """

    url: str
    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port, with the brackets of IPv6: the header `Host`, and who takes turns with whom."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def address(self) -> Address | None:
        """The address that stands there instead of a name, if there is one."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


def read_receiver(url: str) -> Receiver:
    """Take a URL apart.

    Raises:
        Rejected: it is none that a webhook can be posted to; the reason goes on from "The webhook …".
    """
    if not 0 < len(url) <= MOST_LETTERS or not PRINTABLE.fullmatch(url):
        raise _refusal(f"must be a URL of at most {MOST_LETTERS} printable ASCII characters")
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    except ValueError as error:
        raise _refusal("is no URL") from error
    if scheme not in PORTS:
        raise _refusal("must begin with https:// or http://")
    if "@" in parts.netloc:
        raise _refusal("must not hold a user or a password")
    if ":" in host or "[" in parts.netloc:
        _check_ipv6(host)
    elif not HOST.fullmatch(host):
        raise _refusal("names no host")
    if port == 0:
        raise _refusal("names no port")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Receiver(url, scheme, host.rstrip("."), port or PORTS[scheme], target)


def redirected(receiver: Receiver, location: str) -> Receiver:
    """Return where a redirect leads.

    Raises:
        Rejected: nowhere, or from https to http.
    """
    try:
        found = read_receiver(urljoin(receiver.url, location))
    except ValueError as error:
        raise _refusal("is redirected to what is no URL") from error
    if receiver.scheme == "https" and found.scheme == "http":
        raise _refusal("is redirected from https to http")
    return found


class Reach:
    """Whom webhooks may reach: machines of the public internet, and those that the operator names.

    Args:
        allowed: names (`hooks.lan`, `*.corp.example`), addresses and networks (`10.20.0.0/16`).
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._names: list[str] = []
        self._networks: list[Network] = []
        for text in allowed:
            try:
                self._networks.append(ipaddress.ip_network(text.strip("[]"), strict=False))
            except ValueError:
                self._names.append(text.lower())

    def check(self, receiver: Receiver) -> None:
        """Look at what can be said before a name is looked up.

        Raises:
            Rejected: port or address are not allowed.
        """
        address = receiver.address
        if address is not None and not self.admits(receiver.host, address):
            raise _refusal("is at an address that is not public")
        if receiver.port >= FIRST_UNPRIVILEGED or receiver.port in PORTS.values():
            return
        if not self.is_named(receiver.host, address):
            raise _refusal(f"must be at port 80, 443, or from {FIRST_UNPRIVILEGED} on")

    def admits(self, host: str, address: Address) -> bool:
        """Return whether something may be sent to this address of this host."""
        return is_public(address) or self.is_named(host, address)

    def is_named(self, host: str, address: Address | None) -> bool:
        """Return whether the operator has named this host or its address."""
        if any(_is_match(host, name) for name in self._names):
            return True
        return address is not None and any(plain(address) in network for network in self._networks)


def check_allowed(text: str) -> str:
    """Return what an operator allows.

    Raises:
        ValueError: it is neither a name nor an address nor a network.
    """
    try:
        ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError as error:
        if not HOST.fullmatch(text.removeprefix("*.")):
            reason = f"{text} is neither a host nor an address nor a network such as 10.20.0.0/16"
            raise ValueError(reason) from error
    return text


def _is_match(host: str, pattern: str) -> bool:
    """`*.example.org` is every name below that one."""
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def _check_ipv6(host: str) -> None:
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError as error:
        raise _refusal("names no host") from error
    if address.scope_id is not None:
        raise _refusal("names an address of one link only")


def _refusal(reason: str) -> Rejected:
    return Rejected("invalid_webhook", reason)

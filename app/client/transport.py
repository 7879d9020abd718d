"""What both transports share: requests and errors in httpx's words and in ours."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from app.client.addresses import find_key, find_url
from app.client.errors import BrokenOff, Unreachable
from app.client.sources import Body
from app.client.steps import Answer, Request

CONNECT_WITHIN: Final = 5.0
"""Seconds; a server that is there accepts a connection at once."""

WHOLE: Final = frozenset({200, 206})
"""What is read piece by piece where it was opened; every other answer is about something, and short."""

NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class Requests:
    """Turns our requests into httpx's.

    Args:
        url: of Kadr's API; None is the environment's, else this machine.
        key: an API key; None is the environment's.
        timeout: seconds for each step of a request: a piece that is sent, a piece that comes.
        trust_env: whether proxies and certificates that the environment names are used.

    Raises:
        Misconfigured: the key cannot be one.
    """

    def __init__(self, url: str | None, key: str | None, *, timeout: float, trust_env: bool) -> None:
        self.url = find_url(url, os.environ)
        key = find_key(key, os.environ)
        self._authorization = {"Authorization": f"Bearer {key}"} if key else {}
        self.client_options: dict[str, Any] = {
            "timeout": httpx.Timeout(timeout, connect=CONNECT_WITHIN),
            "trust_env": trust_env,
            "headers": {"Accept-Language": "en", "User-Agent": "kadr-client"},
        }

    def arguments(self, request: Request, body: object) -> dict[str, Any]:
        """Return what httpx is given for a request, with its body in the form that it takes."""
        headers = dict(request.headers) if request.is_foreign else self._authorization | dict(request.headers)
        size = request.body.size if isinstance(request.body, Body) else len(request.body)
        if request.body and size is not None:
            headers["Content-Length"] = str(size)
        url = request.path if request.is_foreign else f"{self.url}{request.path}"
        return {
            "method": request.method,
            "url": url,
            "params": request.query or None,
            "headers": headers,
            "content": body,
        }

    @contextlib.contextmanager
    def translated(self, request: Request | None, *, has_begun: bool = False) -> Iterator[None]:
        """Raise httpx's errors as ours.

        Args:
            request: which is made.
            has_begun: whether its answer has.
        """
        origin = f"Kadr at {self.url}"
        if request is not None and request.is_foreign:
            origin = f"the object storage at {urlsplit(request.path).netloc}"
        try:
            yield
        except httpx.InvalidURL as error:
            raise Unreachable(origin, error, may_have_arrived=False) from error
        except NEVER_SENT as error:
            hint = "" if request is not None and request.is_foreign else " (does `kadr up` run?)"
            raise Unreachable(origin, f"{_said(error)}{hint}", may_have_arrived=False) from error
        except (httpx.RequestError, httpx.StreamError) as error:
            raise (BrokenOff if has_begun else Unreachable)(origin, _said(error)) from error


def whole_answer(response: httpx.Response) -> Answer:
    """Return an answer that was read."""
    return Answer(response.status_code, headers_of(response), response.content)


def headers_of(response: httpx.Response) -> dict[str, str]:
    """Return the headers of an answer, their names in lower case."""
    return {name.lower(): value for name, value in response.headers.items()}


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__

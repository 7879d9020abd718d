"""Where Kadr is and who asks: as the caller says, else the environment, else this machine without a key."""

from collections.abc import Mapping
from typing import Final

from app.errors import Misconfigured

DEFAULT_PORT: Final = 8080


def find_url(given: str | None, environment: Mapping[str, str]) -> str:
    """Return the address of Kadr's API, without a slash at its end.

    Args:
        given: what the caller says; it goes first.
        environment: `API_URL`, or the `API_PORT` of a local stack.
    """
    here = f"http://127.0.0.1:{environment.get('API_PORT') or DEFAULT_PORT}"
    return (given or environment.get("API_URL") or here).rstrip("/")


def find_key(given: str | None, environment: Mapping[str, str]) -> str:
    """Return the API key; empty where there is none.

    Args:
        given: what the caller says; it goes first.
        environment: `KADR_API_KEY`.

    Raises:
        Misconfigured: it cannot be a key.
    """
    key = (environment.get("KADR_API_KEY", "") if given is None else given).strip()
    if not (key.isascii() and key.isprintable()):
        raise Misconfigured("KADR_API_KEY is no key of Kadr")  # and is not repeated
    return key

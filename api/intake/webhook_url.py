"""Where a client wants to be told what came of a video: the shape of the address, and who may be told."""

from typing import Final
from urllib.parse import urlsplit

from api.problems import Invalid
from app.domain.receivers import Reach, read_receiver
from app.errors import Rejected
from app.settings import Settings

LONGEST: Final = 2048
"""Characters of an address."""


def check_webhook(url: str) -> None:
    """Return if this may be the address of a webhook; only its shape and its length are looked at.

    Raises:
        Invalid: it is too long, not absolute, not of http or https, names a user, or has what no address has.
    """
    if len(url) > LONGEST:
        raise Invalid("webhook", f"has more than {LONGEST} characters")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise Invalid("webhook", "has characters that no address has")
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is none
    except ValueError as error:
        raise Invalid("webhook", f"is no address: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Invalid("webhook", "must be an absolute address of http or https")
    if parts.username is not None or parts.password is not None:
        raise Invalid("webhook", "names a user or a password: they would be kept in the clear")


def check_receiver(url: str | None, settings: Settings) -> None:
    """Return if the operator lets this address be told of a video's end, or if there is none.

    Raises:
        Invalid: nothing can be posted there, or nothing can be signed.
    """
    if url is None:
        return
    if not settings.webhook_secrets:
        raise Invalid("webhook", "is not possible here: the operator has set no WEBHOOK_SECRET")
    try:
        Reach(settings.webhook_allowed_hosts).check(read_receiver(url))
    except Rejected as error:
        raise Invalid("webhook", error.reason) from error

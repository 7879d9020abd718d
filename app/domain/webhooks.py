"""Webhooks as Standard Webhooks has them: who signs, and what follows from what a receiver answers.

The specification: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, Literal, TypeAlias

from standardwebhooks import Webhook

PREFIX: Final = "whsec_"
"""How a secret begins, so that whoever finds one knows what it is."""

SHORTEST: Final = 24
LONGEST: Final = 64
"""Bytes of a secret, by the specification."""

PAUSES: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""Between one try and the next: the specification's example. Ten tries in 75.6 hours."""

LONGEST_PAUSE: Final = timedelta(hours=24)
"""What a receiver may ask for with `Retry-After`."""

SPREAD: Final = 0.2
"""Part of a pause by which it may be longer, so that what failed together does not come back together."""

State: TypeAlias = Literal["waiting", "delivered", "failed"]
"""Of a delivery: there will be another try, a receiver has it, or there will be none."""


@dataclass(frozen=True)
class Next:
    """What follows from a try.

    Attributes:
        state: of the delivery.
        pause: until the next try, where there is one.
    """

    state: State
    pause: timedelta | None = None


def next_step(
    status: int | None, *, tries: int, random: float, now: datetime, retry_after: str | None = None
) -> Next:
    """Return what follows from a try.

    Args:
        status: of the answer; None where there was none.
        tries: how many there were, this one included.
        random: from 0 to 1.
        now: for a `Retry-After` that is a date.
        retry_after: the header, where there is one.
    """
    if status is not None and HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Next("delivered")
    if status == HTTPStatus.GONE or tries > len(PAUSES):
        return Next("failed")
    pause = PAUSES[tries - 1] * (1 + SPREAD * random)
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE} and retry_after:
        pause = max(pause, min(LONGEST_PAUSE, read_retry_after(retry_after, now)))
    return Next("waiting", pause)


def read_retry_after(text: str, now: datetime) -> timedelta:
    """Return how long a receiver asks us to wait; nothing when it cannot be read (RFC 9110, 10.2.3)."""
    if text.isascii() and text.isdecimal():
        return timedelta(seconds=min(int(text[:10]), LONGEST_PAUSE.total_seconds()))
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return timedelta()
    return max(timedelta(), (at if at.tzinfo else at.replace(tzinfo=UTC)) - now)


class Signer:
    """Signs messages with the secrets of whose video they are about.

    For a video without an owner the operator's secrets themselves sign. Each API key has secrets of its own,
    derived from those: who can verify the messages to one key can forge none to another.

    Args:
        secrets: the operator's, as `check_secrets` returns them, the newest first; all of them sign.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(secrets)

    @property
    def is_able(self) -> bool:
        """Whether there is a secret at all."""
        return bool(self._secrets)

    def secrets_of(self, owner: str | None) -> tuple[str, ...]:
        """Return the secrets that sign for the videos of a key, the newest first."""
        if owner is None:
            return self._secrets
        return tuple(_derived(secret, owner) for secret in self._secrets)

    def headers(self, event_id: str, *, at: datetime, body: str, owner: str | None) -> dict[str, str]:
        """Return the headers of Standard Webhooks for one try.

        Args:
            event_id: the same for every try.
            at: when this try is made.
            body: what is sent.
            owner: id of the key whose video it is about.
        """
        signatures = [Webhook(secret).sign(event_id, at, body) for secret in self.secrets_of(owner)]
        return {
            "Content-Type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signatures),
        }


def check_secrets(text: str) -> tuple[str, ...]:
    """Return the secrets in a text, which are separated by spaces.

    Raises:
        ValueError: one of them is none; the text is not repeated.
    """
    found = tuple(text.split())
    for secret in found:
        try:
            size = len(base64.b64decode(secret.removeprefix(PREFIX), validate=True))
        except binascii.Error:
            size = 0
        if not secret.startswith(PREFIX) or not SHORTEST <= size <= LONGEST:
            reason = f"each secret must be {PREFIX} and {SHORTEST} to {LONGEST} random bytes in base64"
            raise ValueError(reason)
    return found


def _derived(secret: str, owner: str) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    made = hmac.digest(key, f"kadr webhooks of key {owner}".encode(), hashlib.sha256)
    return PREFIX + base64.b64encode(made).decode()

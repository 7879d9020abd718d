"""What an API key looks like, what it may do, and how it is recognised."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias, get_args

Scope: TypeAlias = Literal["submit", "read", "delete", "admin"]
"""What a key may be used for; `admin` is all of it, and everybody's videos."""

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

SECRET_BYTES: Final = 32
"""256 bits: nobody guesses that, which is why one round of SHA-256 is enough to keep it."""

ID_BYTES: Final = 6

KEY: Final = re.compile(r"kadr_([0-9a-f]{12})_[0-9a-f]{64}")


@dataclass(frozen=True)
class Quotas:
    """What a key may use; None is no bound.

    Attributes:
        max_waiting: videos that have neither a result nor a failure yet.
        bytes_per_day: uploaded and accepted, per day of UTC.
    """

    max_waiting: int | None = None
    bytes_per_day: int | None = None


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key; the key itself is known to its holder only.

    Attributes:
        id: the part that is no secret.
        digest: SHA-256 of the whole key, in hexadecimal digits.
        last_used_at: to a minute.
        revoked_at: when it stopped to be good; None while it is.
    """

    id: str
    name: str
    digest: str
    scopes: frozenset[Scope]
    quotas: Quotas
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def may(self, scope: Scope) -> bool:
        """Return whether the key is good for this."""
        return scope in self.scopes or "admin" in self.scopes

    def is_opened_by(self, text: str) -> bool:
        """Return whether this text is the key; takes as long whatever the text is."""
        return hmac.compare_digest(digest_of(text), self.digest)


def draw_key() -> tuple[str, str]:
    """Return the id of a new key, and the key."""
    key_id = secrets.token_hex(ID_BYTES)
    return key_id, f"kadr_{key_id}_{secrets.token_hex(SECRET_BYTES)}"


def id_of(text: str) -> str | None:
    """Return the id within a key; None when the text is no key."""
    found = KEY.fullmatch(text)
    return found[1] if found else None


def digest_of(text: str) -> str:
    """Return what is kept of a key."""
    return hashlib.sha256(text.encode()).hexdigest()


def in_order(scopes: Collection[Scope]) -> list[Scope]:
    """Return scopes as they are listed to people."""
    return [scope for scope in SCOPES if scope in scopes]

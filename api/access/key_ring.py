"""Keys that were looked up a moment ago."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from app.clients.main_db.api_keys import ApiKeys
from app.domain.api_keys import ApiKey, id_of
from app.errors import RetryLater

CACHED_FOR: Final = 2.0
"""Seconds for which a key is not looked up again: a revoked one may still be good for that long."""

MOST_CACHED: Final = 10_000
"""Ids that are remembered, those that do not exist among them: a bound on what a guesser can fill."""


class KeyRing:
    """Finds keys, and remembers each for `CACHED_FOR`.

    Args:
        keys: where they are.
        clock: seconds that never go back.
    """

    def __init__(self, keys: ApiKeys, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._clock = clock
        self._known: dict[str, tuple[float, ApiKey | None]] = {}

    async def find(self, text: str) -> ApiKey | None:
        """Return the key that this text is; None when it is none, or was revoked.

        Raises:
            Unavailable: Mongo does not answer, so that nobody knows.
        """
        key_id = id_of(text)
        if key_id is None:
            return None
        key = await self._look_up(key_id)
        return key if key and key.is_opened_by(text) and key.revoked_at is None else None

    async def find_by_id(self, key_id: str) -> ApiKey | None:
        """Return the key that a session stands for; None when there is none any more, or it was revoked.

        Raises:
            Unavailable: Mongo does not answer, so that nobody knows.
        """
        key = await self._look_up(key_id)
        return key if key and key.revoked_at is None else None

    async def _look_up(self, key_id: str) -> ApiKey | None:
        until, key = self._known.get(key_id, (0.0, None))
        now = self._clock()
        if now < until:
            return key
        key = await self._keys.get(key_id)
        if len(self._known) >= MOST_CACHED:
            self._known.clear()
        self._known[key_id] = now + CACHED_FOR, key
        return key

    async def note_use(self, key: ApiKey) -> None:
        """Remember that a key was used, as far as Mongo lets us; at most once a minute."""
        with suppress(RetryLater):
            await self._keys.note_use(key)

"""The words for where a video is, as `/api/v1` says them."""

from typing import Final, Literal, TypeAlias

State: TypeAlias = Literal["queued", "processing", "ready", "failed", "cancelled"]
Stage: TypeAlias = Literal["queued", "fetching", "decoding", "detecting", "writing"]

Published: TypeAlias = Literal["new", "sent"]
Outcome: TypeAlias = Literal["ready", "failed", "cancelled"]

ENDED: Final[frozenset[State]] = frozenset({"ready", "failed", "cancelled"})
"""States after which nothing happens unless somebody asks for it."""

STATES: Final[tuple[State, ...]] = ("queued", "processing", "ready", "failed", "cancelled")

KEPT_AS: Final[dict[State, tuple[tuple[Outcome | None, Published], ...]]] = {
    "queued": ((None, "new"),),
    "processing": ((None, "sent"),),
    "ready": (("ready", "sent"), ("ready", "new")),
    "failed": (("failed", "sent"), ("failed", "new")),
    "cancelled": (("cancelled", "sent"), ("cancelled", "new")),
}
"""Outcome and status in `main_db` for each word. What has ended may still be `new`: it was cancelled before
it was published, or its result was there before the outbox worker had noted that it published it."""


def state_of(outcome: Outcome | None, status: Published) -> State:
    """Return the word for what `main_db` says of a video."""
    return outcome or ("queued" if status == "new" else "processing")

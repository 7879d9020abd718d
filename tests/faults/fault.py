"""What a fault is, and what it may touch."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.faults.upload import upload
from tests.support.pipeline import Pipeline

UNDER_WAY: Final = 5.0
"""Seconds from the moment an upload is known to the moment its client has the answer, at most."""


@dataclass
class Field:
    """A running Kadr and the videos of one round: what a fault may touch, and what it has to say of it.

    Attributes:
        pipeline: the running Kadr, seen from outside.
        is_quick: whether outages are short, as in `make test`, and not as long as the contract says.
        failpoints: the folder that every process of this Kadr looks into.
        clips: the videos that are submitted in a round, by name; a fault may submit more of them.
        acknowledged: the id of each accepted upload of this round, with the name of its clip.
        acknowledged_at: when each of them was, in seconds of the monotonic clock.
        deleted: ids that the fault has deleted: from then on nothing of them may be left.
        cancelled: ids that the fault has cancelled and left so: they end like that, and in no other way.
        cleared_at: when everything was deleted, if it was; an upload under way then may be gone too.
        poison: keys of the messages that the fault put there to be set aside.
        excused: ids of videos that may end as failed, with the codes that are allowed then.
    """

    pipeline: Pipeline
    is_quick: bool
    failpoints: Path
    clips: dict[str, Path]
    acknowledged: dict[str, str] = field(default_factory=dict)
    acknowledged_at: dict[str, float] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    cleared_at: float | None = None
    poison: set[bytes] = field(default_factory=set)
    excused: dict[str, set[str]] = field(default_factory=dict)

    def submit(self, name: str) -> str:
        """Upload a clip of the round until that is acknowledged, note it, and return its id."""
        video_id = upload(self.pipeline.settings.api_url, self.clips[name])
        self.acknowledged_at[video_id] = time.monotonic()
        self.acknowledged[video_id] = name
        return video_id

    def may_be_cleared(self, video_id: str) -> bool:
        """Return whether a video may be gone because everything was deleted while it was uploaded."""
        if self.cleared_at is None:
            return False
        return self.acknowledged_at.get(video_id, 0.0) < self.cleared_at + UNDER_WAY

    @property
    def outage(self) -> float:
        """How many seconds a server stays away."""
        return 5.0 if self.is_quick else 60.0

    def arm(self, name: str, *, action: str = "kill", subject: str = "", times: int = 1) -> None:
        """Let the next process that comes to a failpoint die there."""
        wanted: dict[str, Any] = {"action": action, "subject": subject, "times": times}
        fresh = self.failpoints / f".{name}.new"
        fresh.write_text(json.dumps(wanted), encoding="utf-8")
        fresh.replace(self.failpoints / f"{name}.json")

    def disarm(self, name: str) -> None:
        """Let a failpoint do nothing again."""
        (self.failpoints / f"{name}.json").unlink(missing_ok=True)

    def hits(self, name: str) -> list[str]:
        """Return what each process that died at a failpoint had in hand."""
        path = self.failpoints / f"{name}.hits"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


Inject = Callable[[Field, Random], None]


def always() -> str | None:
    """Nothing stands in the way of this fault on any machine."""
    return None


@dataclass(frozen=True)
class Fault:
    """One way in which the world may go wrong.

    Attributes:
        kind: what happens, such as `kill`.
        target: to whom, such as `runner`.
        inject: makes it happen, heals what no operator or supervisor would heal by itself, and returns then.
            It draws every choice from the given random numbers. It raises when the fault did not take place.
        obstacle: why it cannot be made to happen on this machine; None when it can.
    """

    kind: str
    target: str
    inject: Inject
    obstacle: Callable[[], str | None] = always

    @property
    def name(self) -> str:
        """Kind and target, as one word."""
        return f"{self.kind}-{self.target}" if self.target else self.kind

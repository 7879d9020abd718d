"""When a request that was not done is made again, and when that is given up: pure."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.client.errors import Problem, read_problem
from app.client.steps import Answer

TOO_MANY_REQUESTS: Final = 429
AWAY: Final = frozenset({502, 503, 504})
"""A proxy's words, and Kadr's, for a server that is away for now."""

ACCEPTED: Final = 202

UNDER_WAY: Final = "idempotency_in_progress"
"""The code of an answer that will be another one soon: the request before this one is still at work."""

FIRST_WAIT: Final = 0.25
LONGEST_WAIT: Final = 8.0
"""Seconds between two tries where Kadr does not say; doubled each time in between."""


@dataclass(frozen=True)
class Retries:
    """How patient a client is with one call.

    Attributes:
        tries: how often a request is made at most that nobody answers, while nobody ever has.
        patience: seconds for which a request is made again that is answered with "later", or not at all by
            somebody who has answered before: a server that is started anew, or has too much to do.
        jitter: a number from 0 to 1; keeps many clients from coming back all at once.
    """

    tries: int = 5
    patience: float = 60.0
    jitter: Callable[[], float] = random.random

    def after_silence(self, made: int, *, waited: float = 0.0, was_there: bool = False) -> float | None:
        """Return the seconds until the next try; None when there is none.

        Args:
            made: tries that nobody has answered.
            waited: seconds since the first one.
            was_there: whether somebody has answered before.
        """
        wait = self._pause(made)
        is_worth_it = made < self.tries or (was_there and waited + wait <= self.patience)
        return wait if is_worth_it else None

    def after_answer(self, answer: Answer, *, made: int, waited: float) -> float | None:
        """Return the seconds until the next try; None when this answer is the last.

        Args:
            answer: which may say when.
            made: tries so far.
            waited: seconds since the first one.
        """
        if not is_later(answer):
            return None
        told = answer.retry_after
        wait = self._pause(made) if told is None else told + self._pause(1)
        return wait if waited + wait <= self.patience else None

    def _pause(self, made: int) -> float:
        full = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** max(0, made - 1))
        return full * (0.5 + 0.5 * self.jitter())


def is_later(answer: Answer) -> bool:
    """Whether an answer means that the same request may soon be answered otherwise."""
    if answer.status == TOO_MANY_REQUESTS or answer.status in AWAY:
        return True
    if answer.status == ACCEPTED:
        return is_computing(answer)
    return _problem(answer).code == UNDER_WAY


def is_computing(answer: Answer) -> bool:
    """Whether what was asked for is being made just now: then Kadr says when to ask again."""
    return answer.status == ACCEPTED and answer.retry_after is not None


def _problem(answer: Answer) -> Problem:
    return Problem() if answer.is_success else read_problem(answer)

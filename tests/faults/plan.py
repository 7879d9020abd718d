"""What happens in a run, decided by its seed alone before anything runs."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

LONGEST_DELAY: Final = 6.0
QUICK_DELAY: Final = 2.5
"""Seconds before a fault: after that the short clips have ended, and soon there is no work any more."""


@dataclass(frozen=True)
class Step:
    """One fault, and the videos that are in work when it happens.

    Attributes:
        number: counted from 1 over the whole run.
        fault: its name.
        delay: seconds between the first upload and the fault.
        seed: of the random numbers that the fault draws its choices from.
        clips: the names of the clips, in the order in which they are submitted.
    """

    number: int
    fault: str
    delay: float
    seed: int
    clips: tuple[str, ...]


def make_plan(
    seed: int,
    *,
    rounds: int,
    faults: Collection[str],
    clips: Sequence[str],
    longest_delay: float = LONGEST_DELAY,
) -> list[Step]:
    """Return every fault once in each round, in an order drawn from the seed.

    What a fault draws depends on the seed, the round and its own name only, so that it is the same when
    it is run alone.
    """
    steps: list[Step] = []
    for round_ in range(1, rounds + 1):
        names = sorted(faults)
        Random(f"{seed}/{round_}").shuffle(names)  # noqa: S311 - repeatable, not secret
        for name in names:
            number = len(steps) + 1
            steps.append(make_step(seed, round_, name, clips, number=number, longest_delay=longest_delay))
    return steps


def make_step(
    seed: int,
    round_: int,
    fault: str,
    clips: Sequence[str],
    *,
    number: int = 1,
    longest_delay: float = LONGEST_DELAY,
) -> Step:
    """Return one step of a round."""
    random = Random(f"{seed}/{round_}/{fault}")  # noqa: S311 - see above
    delay = round(random.uniform(0.0, longest_delay), 2)
    own_seed = random.getrandbits(32)
    order = sorted(clips)
    random.shuffle(order)
    return Step(number, fault, delay, own_seed, tuple(order))

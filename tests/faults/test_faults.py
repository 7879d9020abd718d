"""One fault of each kind, on one running Kadr, with a fixed seed; `make faults` is the long run."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.faults.catalog import CATALOG
from tests.faults.clips import CORRUPT
from tests.faults.fault import Fault, Field
from tests.faults.kadr import Kadr, open_kadr
from tests.faults.plan import QUICK_DELAY, make_step
from tests.faults.step import take_step

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

SEED: Final = 138
"""Of those whose faults are soon over: what waits for one clock after the other is left to the long run."""

TOGETHER: Final = (
    ("cancel", "cut-upload", "delete-cancelled", "delete-late", "delete-one", "retry"),
    ("double", "late", "poison", "reorder"),
)
"""Kinds that happen one after the other in one step: each is to videos or messages of its own."""

SUBMITTED: Final = ("short-1", "long", CORRUPT)
"""Clips that are in work in each step; a fault may submit the others too."""

ENDED_WITHIN: Final = 90.0
"""Seconds; the outages of the short run are short."""


@pytest.fixture(scope="module")
def kadr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kadr]:
    """A Kadr with short clocks, its clips looked at once, undisturbed."""
    root: Path = tmp_path_factory.mktemp("faults")
    with open_kadr(root, is_quick=True) as running:
        yield running


def draw(kind: str) -> Fault:
    """Return a fault of a kind, the same in every run; another one where this machine forbids the first."""
    faults = sorted((each for each in CATALOG if each.kind == kind), key=lambda each: each.name)
    Random(f"{SEED}/{kind}").shuffle(faults)  # noqa: S311 - repeatable, not secret
    possible = next((each for each in faults if each.obstacle() is None), None)
    if possible is None:
        pytest.skip(f"{kind}: {faults[0].obstacle()}")
    return possible


def in_turn(faults: Sequence[Fault]) -> Fault:
    """Return faults that happen one after the other as one."""

    def inject(at: Field, random: Random) -> None:
        for each in faults:
            each.inject(at, random)

    return Fault(" + ".join(each.name for each in faults), "", inject)


KINDS: Final = sorted({each.kind for each in CATALOG} - {each for kinds in TOGETHER for each in kinds})


@pytest.mark.usefixtures("expects_errors")
@pytest.mark.parametrize("kinds", [*TOGETHER, *((each,) for each in KINDS)], ids=" + ".join)
def test_nothing_is_lost_and_nothing_comes_twice(kadr: Kadr, kinds: Sequence[str]) -> None:
    fault = in_turn([draw(each) for each in kinds])
    step = make_step(SEED, 1, fault.name, SUBMITTED, longest_delay=QUICK_DELAY)

    result = take_step(kadr, step, fault, ended_within=ENDED_WITHIN)

    assert result.findings.videos >= len(SUBMITTED)
    assert not result.violations, "\n".join([fault.name, *result.violations])

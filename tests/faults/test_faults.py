"""One fault of each kind, on one running Kadr, with a fixed seed; `make faults` is the long run."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.faults.catalog import CATALOG
from tests.faults.fault import Fault
from tests.faults.kadr import Kadr, open_kadr
from tests.faults.plan import QUICK_DELAY, make_step
from tests.faults.step import take_step

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

SEED: Final = 4

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


@pytest.mark.usefixtures("expects_errors")
@pytest.mark.parametrize("kind", sorted({each.kind for each in CATALOG}))
def test_nothing_is_lost_and_nothing_comes_twice(kadr: Kadr, kind: str) -> None:
    fault = draw(kind)
    step = make_step(SEED, 1, fault.name, list(kadr.clips), longest_delay=QUICK_DELAY)

    result = take_step(kadr, step, fault, ended_within=ENDED_WITHIN)

    assert result.findings.videos >= len(kadr.clips)
    assert not result.violations, "\n".join([fault.name, *result.violations])

"""What the processor can do, as Linux says it."""

import pytest

from app.detection.processor import FOR_INT8, find_abilities

INTEL = "processor\t: 0\nmodel name\t: Intel\nflags\t\t: fpu avx2 avx512_vnni\n\nflags\t\t: fpu avx2\n"
AMD = "model name\t: AMD EPYC\nflags\t\t: fpu avx avx2 sse4a\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp sve\n"


@pytest.mark.parametrize(
    ("said", "has"), [(INTEL, {"avx512_vnni"}), (AMD, set()), (ARM, {"asimddp"}), ("", set())]
)
def test_instructions_for_int8_are_found_among_the_flags_of_the_first_core(said: str, has: set[str]) -> None:
    assert find_abilities(said) & FOR_INT8 == has


def test_this_processor_says_what_it_can_do() -> None:
    assert find_abilities() & {"fpu", "fp"}

"""Bits say which frames have arrived, whatever the order and however often."""

from hypothesis import given
from hypothesis import strategies as st

from app.domain.progress import BEFORE, CHUNK, chunk_spans, count_bits, missing_offsets, set_bits

offsets = st.lists(st.integers(0, CHUNK - 1), max_size=60)


@given(st.lists(offsets, max_size=5))
def test_any_grouping_order_and_repetition_gives_the_same_bits(groups: list[list[int]]) -> None:
    bits = b""
    for group in groups:
        bits = set_bits(bits, group)
    flat = sorted({offset for group in groups for offset in group})
    assert bits == set_bits(b"", flat) == set_bits(bits, flat[::-1])


@given(offsets, st.integers(0, CHUNK))
def test_what_is_not_set_is_missing(present: list[int], length: int) -> None:
    bits = set_bits(b"", present)
    assert missing_offsets(bits, range(length)) == sorted(set(range(length)) - set(present))
    assert missing_offsets(bits, range(7, length)) == sorted(set(range(7, length)) - set(present))


@given(offsets)
def test_each_frame_counts_once(present: list[int]) -> None:
    assert count_bits(set_bits(set_bits(b"", present), present)) == len(set(present))


def test_setting_nothing_changes_nothing() -> None:
    assert set_bits(b"\x05", []) == b"\x05"


def test_the_bits_of_a_chunk_stay_small() -> None:
    assert len(set_bits(b"", list(range(CHUNK)))) == CHUNK // 8


@given(st.integers(0, 3 * CHUNK), st.integers(0, 5 * CHUNK))
def test_the_chunks_of_a_video_hold_all_of_it(first: int, total: int) -> None:
    spans = chunk_spans(first, total)
    held = [chunk * CHUNK + offset for chunk, offsets in spans.items() for offset in offsets]
    assert held == list(range(first, first + total))
    assert all(offsets.start >= 0 and offsets.stop <= CHUNK for offsets in spans.values())


def test_no_state_leads_back() -> None:
    def later(status: str) -> set[str]:
        following = {each for each, before in BEFORE.items() if status in before}
        return following | {further for each in following for further in later(each)}

    assert all(status not in later(status) for status in BEFORE)
    assert later("deleted") == set()

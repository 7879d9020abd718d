"""Which packets may be skipped, told while they come: on streams that exist as numbers only."""

from collections.abc import Iterable
from fractions import Fraction
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.decoding.clock import Clock
from app.decoding.container import AvContext, AvPacket
from app.decoding.process import create_limits
from app.decoding.survey import LATEST, MOST_HELD, Doubt, Survey
from app.settings import Settings

LIMITS = replace(create_limits(Settings()), frames=1000, seconds=1000)
STRIDE = 5


class Packet(bytes):
    """A packet of H.264 with one slice."""

    pts: int
    duration = size = 1
    is_corrupt = is_discard = is_keyframe = False

    @classmethod
    def of(cls, pts: int, *, is_referenced: bool = True, is_keyframe: bool = False) -> "Packet":
        packet = cls(b"\0\0\0\2" + bytes([0x61 if is_referenced else 0x01, 0x80]))
        packet.pts, packet.is_keyframe = pts, is_keyframe
        return packet

    def has_sidedata(self, _name: str) -> bool:
        return False


class Codec:
    """H.264."""

    name = "h264"


class Context:
    """A decoder of MP4's H.264 that shows pictures up to two later than it gets them."""

    codec = Codec()
    extradata = b"\1\0\0\0\3"
    reorder_depth = 2


def create(stride: int = STRIDE) -> Survey:
    clock = Clock(time_base=Fraction(1, 25), origin=0.0, rate=Fraction(25))
    return Survey(stride, clock, cast("AvContext", Context()), LIMITS)


def with_b_pictures(groups: int) -> list[Packet]:
    """I P b b P b b …: each pair of pictures that nothing refers to is shown before what is decoded first."""
    packets = [Packet.of(0, is_keyframe=True)]
    for start in range(0, 3 * groups, 3):
        packets.append(Packet.of(start + 3))
        packets += [Packet.of(start + offset, is_referenced=False) for offset in (1, 2)]
    return packets


def plan(survey: Survey, packets: Iterable[Packet]) -> list[tuple[int, bool]]:
    planned = survey.plan(cast("Iterable[AvPacket]", packets))
    return [(packet.pts, is_skipped) for packet, is_skipped in planned if packet]


def test_what_is_not_wanted_and_not_referred_to_is_skipped() -> None:
    packets = with_b_pictures(20)
    planned = plan(create(), packets)
    assert [pts for pts, _ in planned] == [packet.pts for packet in packets], "in their order"
    skipped = {pts for pts, is_skipped in planned if is_skipped}
    assert skipped == {pts for pts in range(61) if pts % 3 and pts % STRIDE}


@given(st.integers(1, 60), st.integers(2, 7))
def test_every_shown_frame_gets_the_number_that_it_has_in_the_whole(groups: int, stride: int) -> None:
    survey = create(stride)
    skipped = {pts for pts, is_skipped in plan(survey, with_b_pictures(groups)) if is_skipped}
    shown = [pts for pts in range(3 * groups + 1) if pts not in skipped]
    assert [survey.number(pts, is_corrupt=False) for pts in shown] == shown
    survey.finish()
    assert survey.frames == 3 * groups + 1
    assert survey.end == pytest.approx((3 * groups + 1) / 25)


def test_packets_are_held_back_only_until_their_place_is_settled() -> None:
    held = 0
    survey = create()

    def counted() -> Iterable[Packet]:
        nonlocal held
        for packet in with_b_pictures(100):
            held += 1
            yield packet

    for _ in survey.plan(cast("Iterable[AvPacket]", counted())):
        held -= 1
        assert held <= 2 * LATEST


@pytest.mark.parametrize("wrong", ["twice", "before all", "late", "damaged"])
def test_a_doubt_before_anything_was_skipped_ends_the_skipping_only(wrong: str) -> None:
    packets = [Packet.of(number, is_keyframe=not number) for number in range(10, 80)]
    packets[30:30] = [spoiled(wrong, packets)]
    survey = create()
    planned = plan(survey, [*packets, *with_b_pictures(20)])
    assert not any(is_skipped for _, is_skipped in planned)
    assert len(planned) == len(packets) + 61
    assert [survey.number(pts, is_corrupt=False) for pts in (7, 7, None)] == [0, 1, 2], "merely counted"
    survey.finish()


@pytest.mark.parametrize("wrong", ["twice", "before all", "late", "damaged"])
def test_a_doubt_after_something_was_skipped_is_raised(wrong: str) -> None:
    packets = with_b_pictures(30)
    packets[80:80] = [spoiled(wrong, packets)]
    with pytest.raises(Doubt):
        plan(create(), packets)


def spoiled(how: str, packets: list[Packet]) -> Packet:
    packet = Packet.of({"twice": packets[28].pts, "before all": -5, "late": packets[5].pts + 1}.get(how, 500))
    packet.is_corrupt = how == "damaged"
    return packet


def test_a_stream_out_of_all_order_is_left_alone() -> None:
    far = [Packet.of(0, is_keyframe=True), Packet.of(10_000)]
    near = [Packet.of(number, is_referenced=False) for number in range(1, 3 * MOST_HELD)]
    planned = plan(create(), [*far, *near])
    assert [pts for pts, is_skipped in planned if is_skipped] == []
    assert len(planned) == len(far) + len(near)


@pytest.mark.parametrize("frame", [3, None])
def test_another_frame_than_was_expected_is_a_doubt(frame: int | None) -> None:
    survey = create()
    plan(survey, with_b_pictures(20))
    assert survey.number(0, is_corrupt=False) == 0
    assert survey.has_skipped
    with pytest.raises(Doubt):
        survey.number(frame, is_corrupt=frame is not None)


def test_a_frame_that_the_decoder_never_shows_is_a_doubt() -> None:
    survey = create()
    plan(survey, with_b_pictures(20))
    with pytest.raises(Doubt):
        survey.finish()


def test_nothing_is_skipped_where_every_frame_is_wanted() -> None:
    assert not any(is_skipped for _, is_skipped in plan(create(stride=1), with_b_pictures(20)))

"""Objects are followed through a video, and keep their number while they are in it."""

import msgspec
import pytest

from app.domain.messages import Detection, FrameResult
from tests.exports.conftest import Export
from tests.support.made_results import frames_of, undecodable


def at(index: int, *found: tuple[str, int, float]) -> FrameResult:
    objects = [Detection(name, (left, 100, left + 100, 200), conf) for name, left, conf in found]
    return FrameResult(index * 5, index / 5, objects)


async def tracks(export: Export, frames: list[FrameResult]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = msgspec.json.decode(await export("tracks", frames, follow=True))[
        "tracks"
    ]
    return found


async def test_two_that_pass_each_other_keep_their_numbers(export: Export) -> None:
    frames = [at(n, ("car", n * 30, 0.9), ("person", 900 - n * 30, 0.9)) for n in range(30)]
    found = await tracks(export, frames)
    assert [(each["class"], each["frames"], each["last_frame"]) for each in found] == [
        ("car", 29, 145),
        ("person", 29, 145),
    ]


async def test_a_track_never_changes_its_class(export: Export) -> None:
    frames = [at(n, ("car" if n < 10 else "truck", 100 + n, 0.9)) for n in range(20)]
    assert [each["class"] for each in await tracks(export, frames)] == ["car", "truck"]


async def test_one_that_is_hidden_for_less_than_a_second_is_the_same_afterwards(export: Export) -> None:
    def frames(hidden: int) -> list[FrameResult]:
        seen = [n for n in range(40) if not 10 <= n < 10 + hidden]
        return [at(n, *([("car", 100 + n, 0.9)] if n in seen else [])) for n in range(40)]

    assert len(await tracks(export, frames(3))) == 1
    assert len(await tracks(export, frames(20))) == 2


async def test_a_frame_that_could_not_be_looked_at_breaks_no_track(export: Export) -> None:
    frames = [at(n, ("car", 100 + n, 0.9)) if n != 10 else undecodable(n) for n in range(20)]
    assert len(await tracks(export, frames)) == 1


async def test_weak_sights_go_on_a_track_and_begin_none(export: Export) -> None:
    strong_first = [at(n, ("car", 100 + n, 0.9 if n < 5 else 0.3)) for n in range(20)]
    assert [each["frames"] for each in await tracks(export, strong_first)] == [19]
    assert await tracks(export, [at(n, ("car", 100 + n, 0.3)) for n in range(20)]) == []


async def test_a_followed_result_is_the_result_with_a_track_beside_each_object(export: Export) -> None:
    frames = [*frames_of(20, objects=3), undecodable(20)]
    plain = msgspec.json.decode(await export("json", frames))
    followed = msgspec.json.decode(await export("json", frames, follow=True))
    assert followed.pop("tracker")["frame_rate"] == pytest.approx(5.0)
    for frame in followed["prediction"]:
        for found in frame["objects"]:
            assert found.pop("track") in {None, 1, 2, 3}
    assert followed == plain

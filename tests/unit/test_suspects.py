"""A message that kills its worker every time is found out; one that was only near by is not."""

import errno
import os
from pathlib import Path

import pytest

from app.clients.kafka.broker import Partition
from app.suspects import DEATHS, Suspects


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "suspects.json"


def die_with(path: Path, *positions: str) -> Suspects:
    """Take these in hand, die, and start again: nothing but the file remains."""
    Suspects(path).take(positions)
    return Suspects(path)


def test_who_was_in_hand_in_three_deaths_is_guilty(path: Path) -> None:
    found = [die_with(path, "tasks/0/5").is_guilty("tasks/0/5") for _ in range(DEATHS)]
    assert found == [False, False, True]


def test_who_was_handled_is_free(path: Path) -> None:
    die_with(path, "tasks/0/5")
    again = die_with(path, "tasks/0/5")
    again.take(["tasks/0/5"])
    again.clear(["tasks/0/5"])
    later = Suspects(path)
    assert later.deaths("tasks/0/5") == 0
    assert not later.any_left


def test_a_death_while_the_world_is_away_proves_nothing(path: Path) -> None:
    suspects = Suspects(path)
    suspects.take(["tasks/0/5"])
    suspects.put_down(["tasks/0/5"])
    assert Suspects(path).deaths("tasks/0/5") == 0


def test_an_earlier_death_stays_counted_while_the_world_is_away(path: Path) -> None:
    suspects = die_with(path, "tasks/0/5")
    suspects.take(["tasks/0/5"])
    suspects.put_down(["tasks/0/5"])
    assert Suspects(path).deaths("tasks/0/5") == 1


def test_what_never_came_to_an_end_stays_noted_after_a_seal(path: Path) -> None:
    suspects = Suspects(path)
    suspects.take(["tasks/0/5", "tasks/0/6"])
    suspects.seal(["tasks/0/5"])
    suspects.put_down(["tasks/0/5", "tasks/0/6"])
    assert [Suspects(path).deaths(f"tasks/0/{offset}") for offset in (5, 6)] == [1, 0]


def test_a_kill_in_the_middle_of_several_counts_for_those_in_hand_only(path: Path) -> None:
    suspects = Suspects(path)
    suspects.take(["tasks/0/5", "tasks/0/6"])
    suspects.clear(["tasks/0/5"])
    after = Suspects(path)
    assert [after.deaths(f"tasks/0/{offset}") for offset in (5, 6, 7)] == [0, 1, 0]


def test_after_a_death_messages_come_one_at_a_time_until_the_suspects_are_handled(path: Path) -> None:
    suspects = die_with(path, "tasks/0/5", "tasks/0/6")
    assert suspects.any_left
    for position in ("tasks/0/5", "tasks/0/6"):
        suspects.take([position])
        suspects.clear([position])
    assert not suspects.any_left


def test_suspects_that_others_have_handled_or_will_handle_slow_nobody_down(path: Path) -> None:
    suspects = die_with(path, "tasks/0/5", "tasks/1/7")
    suspects.expect({Partition("tasks", 0): 6})  # 0/5 was done by somebody; partition 1 is not ours
    assert not suspects.any_left
    assert suspects.deaths("tasks/0/5") == 0
    assert suspects.deaths("tasks/1/7") == 1


def test_suspects_that_are_still_to_come_are_waited_for(path: Path) -> None:
    suspects = die_with(path, "tasks/0/5")
    suspects.expect({Partition("tasks", 0): 5})
    assert suspects.any_left


def test_a_position_that_names_no_place_slows_nobody_down(path: Path) -> None:
    path.write_text('{"tasks": 3, "tasks/0/x": 3}')
    suspects = Suspects(path)
    suspects.expect({Partition("tasks", 0): 5})
    assert not suspects.any_left


def test_who_was_set_aside_stays_guilty_until_its_partition_is_read_past_it(path: Path) -> None:
    for _ in range(DEATHS):
        die_with(path, "tasks/0/5")
    suspects = Suspects(path)
    suspects.take(["tasks/0/5"])
    suspects.condemn("tasks/0/5")
    suspects.clear(["tasks/0/5"])
    assert not suspects.any_left

    again = die_with(path, "tasks/0/6")  # before the acknowledgement of the one before was committed
    again.expect({Partition("tasks", 0): 5})
    assert [again.is_guilty(f"tasks/0/{offset}") for offset in (5, 6)] == [True, False]

    again.expect({Partition("tasks", 0): 6})
    assert Suspects(path).deaths("tasks/0/5") == 0


def test_a_note_covers_a_longer_one_before_it(path: Path) -> None:
    suspects = Suspects(path)
    suspects.take([f"tasks/0/{offset}" for offset in range(8)])
    suspects.clear([f"tasks/0/{offset}" for offset in range(7)])
    after = Suspects(path)
    assert [after.deaths(f"tasks/0/{offset}") for offset in (6, 7)] == [0, 1]
    after.take(["tasks/0/8"])
    assert [Suspects(path).deaths(f"tasks/0/{offset}") for offset in (6, 7, 8)] == [0, 1, 1]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"tasks/0/5": "many"}', "\xff"])
def test_a_file_that_cannot_be_read_accuses_nobody(path: Path, content: str) -> None:
    path.write_text(content, encoding="latin-1")
    suspects = Suspects(path)
    assert not suspects.any_left
    suspects.take(["tasks/0/5"])
    assert Suspects(path).deaths("tasks/0/5") == 1


def test_a_note_that_a_full_disk_refuses_stops_nothing_and_leaves_no_wrong_one(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    suspects = Suspects(path)
    suspects.take(["tasks/0/5"])
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", _refuse)
        suspects.clear(["tasks/0/5"])
        suspects.take(["tasks/0/6"])
    assert Suspects(path).deaths("tasks/0/5") == 0

    suspects.take(["tasks/0/7"])

    assert Suspects(path).deaths("tasks/0/7") == 1
    assert len(caplog.records) == 1


def _refuse(*_args: object, **_kwargs: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

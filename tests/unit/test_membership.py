"""A worker knows in its next life under which id it was in its group."""

from pathlib import Path

from app.streaming.membership import Membership


def test_the_id_of_the_last_life_is_known(tmp_path: Path) -> None:
    path = tmp_path / "member"
    assert Membership(path).last == ""
    for member in ("role-1", "role-2", ""):  # no id: it is just joining anew
        Membership(path).note(member)
    assert Membership(path).last == "role-2"


def test_a_note_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    path = tmp_path / "member"
    path.write_bytes(b"\xff\xfe")
    assert Membership(path).last == ""


def test_a_note_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    membership = Membership(tmp_path / "gone" / "member")
    membership.note("role-1")
    assert membership.last == "role-1"

"""A video is followed by the client, without any I/O: by events, and by looking where there are none."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.client import NotFound, TookTooLong, Unreachable, Video
from app.client.events import LONGEST, Event, EventReader, EventsTooLong
from app.client.watching import LISTEN_AGAIN, events, wait
from tests.support.flows import Script, answer, problem, video
from tests.support.flows import events as sent

LOST = Unreachable("Kadr", "the line broke")


def test_events_tell_everything_until_the_end() -> None:
    told = sent(
        ("status", video("processing", progress={"known": True})),
        ("progress", {"known": True, "frames_done": 5}),
        ("end", video("ready")),
    )
    script = Script([answer()], [told])
    seen: list[Video] = []
    ended = script.run(wait(script.core, "v", on_progress=seen.append))
    assert ended.status == "ready"
    assert [each.status for each in seen] == ["processing", "processing", "ready"]
    assert seen[1].progress is not None
    assert seen[1].progress.frames_done == 5
    assert script.asked == ["GET /api/v1/videos/v/events"]


def test_what_has_not_changed_is_not_told_again() -> None:
    told = sent(("status", video("processing")), ("status", video("processing")), ("end", video("ready")))
    script = Script([answer()], [told])
    script.run(events(script.core, "v"))
    assert [each.status for each in script.given] == ["processing", "ready"]


def test_where_there_are_no_events_it_is_looked() -> None:
    looks = [answer(200, video("queued")), answer(200, video("processing")), answer(200, video("ready"))]
    script = Script([problem(503, "busy"), *looks])
    assert script.run(wait(script.core, "v")).status == "ready"
    assert script.slept == [1.0, 1.0]


def test_after_a_while_events_are_asked_for_again() -> None:
    looks = [answer(200, video("processing"))] * (int(LISTEN_AGAIN) + 1)
    script = Script([LOST, *looks, answer()], [sent(("end", video("failed")))])
    assert script.run(wait(script.core, "v")).status == "failed"
    assert script.asked[-1].endswith("/events")


def test_a_line_that_breaks_is_made_good_by_a_look() -> None:
    broken = [*sent(("status", video("processing"))), LOST]
    script = Script([answer(), answer(200, video("ready"))], [broken])
    assert script.run(wait(script.core, "v")).status == "ready"


def test_kadr_may_be_away_for_as_long_as_the_client_is_patient() -> None:
    script = Script([LOST] * 12 + [answer(200, video("ready"))])
    assert script.run(wait(script.core, "v")).status == "ready"
    script = Script([LOST] * 200)
    with pytest.raises(Unreachable):
        script.run(wait(script.core, "v"))
    assert 60 < script.time < 90


def test_a_deleted_video_is_not_found() -> None:
    gone = problem(404, "not_found")
    script = Script([answer(), gone, gone], [sent(("deleted", {"id": "v"}))])
    with pytest.raises(NotFound):
        script.run(wait(script.core, "v"))


def test_an_unknown_video_is_not_found() -> None:
    script = Script([problem(404, "not_found"), problem(404, "not_found")])
    with pytest.raises(NotFound):
        script.run(wait(script.core, "v"))


def test_waiting_ends_in_time() -> None:
    script = Script([answer(200, video("processing"))] * 99)
    with pytest.raises(TookTooLong, match="the end of the video v did not come within 5 s"):
        script.run(wait(script.core, "v", within=5))
    assert script.time == 5


STREAM = (
    b': quiet\n\nevent: status\ndata: {"a":1}\nid: 7\nretry: 2000\n\nevent: end\r\ndata: 1\r\ndata: 2\r\n\r\n'
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_events_are_the_same_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    reader = EventReader()
    found: list[Event] = []
    places = [0, *sorted(cuts), len(STREAM)]
    for start, end in pairwise(places):
        found += reader.read(STREAM[start:end])
    assert found == [Event("status", b'{"a":1}'), Event("end", b"1\n2")]


def test_a_stream_without_an_end_is_not_kept() -> None:
    reader = EventReader()
    with pytest.raises(EventsTooLong):
        list(reader.read(b"data: " + b"x" * LONGEST))

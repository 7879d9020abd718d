"""The client's calls, without any I/O: what is asked, what is tried again, what comes of it."""

from datetime import UTC, datetime

import pytest

from app.client import (
    Conflict,
    NotAllowed,
    NotFound,
    NotReady,
    Refused,
    TooBusy,
    Unreachable,
    Unreadable,
    VideoFailed,
    calls,
    results,
)
from app.client.core import Core
from app.client.retries import Retries
from app.client.steps import Answer
from tests.support.flows import Script, answer, problem, video

LOST = Unreachable("Kadr", "the line broke")
NEVER_SENT = Unreachable("Kadr", "refused", may_have_arrived=False)


def test_a_video_is_read_with_all_that_is_said_of_it_and_more() -> None:
    said = video(
        "processing",
        stage="detecting",
        later="a field of a later release",
        progress={"known": True, "frames_done": 3, "frames_total": 9, "eta_seconds": 1.5},
        times={"created": "2026-11-26T09:00:00Z", "sent": None},
    )
    script = Script([answer(200, said)])
    found = script.run(calls.get(script.core, "v"))
    assert (found.status, found.stage, found.has_ended) == ("processing", "detecting", False)
    assert found.progress is not None
    assert (found.progress.frames_done, found.progress.frames_total, found.progress.eta_seconds) == (
        3,
        9,
        1.5,
    )
    assert found.created_at == datetime(2026, 11, 26, 9, tzinfo=UTC)


def test_an_id_is_never_a_path() -> None:
    script = Script([answer(200, video())])
    script.run(calls.get(script.core, "../keys?x=1"))
    assert script.asked == ["GET /api/v1/videos/..%2Fkeys%3Fx%3D1"]


def test_pages_are_asked_for_as_they_are_wanted() -> None:
    pages = [{"videos": [video()], "next_cursor": "2"}, {"videos": [], "next_cursor": None}]
    script = Script([answer(200, page) for page in pages])
    script.run(calls.list_videos(script.core, status=["ready", "failed"], tags=["a"], page=7))
    assert [each.id for each in script.given] == ["v"]
    assert script.requests[0].query == (
        ("status", "ready"),
        ("status", "failed"),
        ("tag", "a"),
        ("limit", "7"),
    )
    assert script.query(1)["cursor"] == "2"


def test_times_go_out_in_utc() -> None:
    script = Script([answer(200, {"videos": []})])
    at = datetime.fromisoformat("2026-11-26T10:00:00+01:00")
    script.run(calls.list_videos(script.core, created_after=at))
    assert script.query()["created_after"] == "2026-11-26T09:00:00Z"


@pytest.mark.parametrize(
    "case",
    [
        (problem(401, "no_key"), NotAllowed),
        (problem(403, "forbidden"), NotAllowed),
        (problem(404, "not_found"), NotFound),
        (problem(409, "already_ended"), Conflict),
        (problem(422, "invalid"), Refused),
        (problem(500, "internal"), Unreachable),
        (answer(404), NotFound),
        (answer(302), Refused),
        (answer(200, ["no video"]), Unreadable),
    ],
    ids=lambda case: f"{case[0].status} {case[1].__name__}",
)
def test_every_answer_is_the_error_that_says_what_to_do(case: tuple[Answer, type[Exception]]) -> None:
    said, error = case
    script = Script([said])
    with pytest.raises(error):
        script.run(calls.cancel(script.core, "v"))
    assert len(script.requests) == 1


def test_a_refusal_names_the_field() -> None:
    errors = [{"field": "conf", "message": "too high"}]
    script = Script([problem(422, "invalid", "conf: too high", errors=errors)])
    with pytest.raises(Refused) as raised:
        script.run(calls.get(script.core, "v"))
    assert (raised.value.code, raised.value.fields) == ("invalid", {"conf": "too high"})


@pytest.mark.parametrize("code", ["busy", "unavailable", "over_quota"])
def test_what_is_to_be_asked_later_is_asked_when_kadr_says(code: str) -> None:
    status = 429 if code == "over_quota" else 503
    script = Script([problem(status, code, retry_after=5), answer(200, video())])
    script.run(calls.get(script.core, "v"))
    assert script.slept == [5.25]


def test_a_wait_that_is_longer_than_the_patience_is_the_callers() -> None:
    script = Script([problem(429, "over_quota", "All bytes of today are used.", retry_after=3600)])
    with pytest.raises(TooBusy, match=r"All bytes of today are used \(again in 3600 s\)") as raised:
        script.run(calls.get(script.core, "v"))
    assert raised.value.retry_after == 3600
    assert script.slept == []


def test_patience_ends() -> None:
    script = Script([problem(503, "busy", retry_after=20)] * 9)
    with pytest.raises(TooBusy):
        script.run(calls.get(script.core, "v"))
    assert 40 < sum(script.slept) <= 60


def test_silence_is_waited_for_longer_and_longer_and_not_for_ever() -> None:
    script = Script([LOST] * 9)
    with pytest.raises(Unreachable):
        script.run(calls.get(script.core, "v"))
    assert script.slept == [0.25, 0.5, 1.0, 2.0]


def test_who_has_answered_before_is_waited_for_as_long_as_one_that_says_later() -> None:
    script = Script([answer(200, video()), *([NEVER_SENT] * 9), answer(200, video()), *([LOST] * 99)])
    core = script.core
    script.run(calls.get(core, "v"))
    script.run(calls.get(core, "v"))
    assert 30 < sum(script.slept) <= 60
    with pytest.raises(Unreachable):
        script.run(calls.get(core, "v"))
    assert sum(script.slept) <= 120


def test_many_clients_do_not_come_back_at_once() -> None:
    shares = iter((0.0, 0.5, 1.0))
    retries = Retries(jitter=lambda: next(shares))
    assert [retries.after_silence(3) for _ in range(3)] == [0.5, 0.75, 1.0]


def test_deleting_again_after_silence_is_deleting() -> None:
    script = Script([LOST, problem(404, "not_found")])
    script.run(calls.delete(script.core, "v"))
    script = Script([NEVER_SENT, problem(404, "not_found")])
    with pytest.raises(NotFound):
        script.run(calls.delete(script.core, "v"))


def test_an_attempt_that_was_begun_in_silence_is_the_answer() -> None:
    script = Script([LOST, problem(409, "not_ended"), answer(200, video("queued", attempt=2))])
    assert script.run(calls.retry(script.core, "v")).attempt == 2
    script = Script([problem(409, "not_ended")])
    with pytest.raises(Conflict):
        script.run(calls.retry(script.core, "v"))


def test_detections_are_pages_of_frames() -> None:
    car = {"class": "car", "box": [1, 2, 3, 4], "conf": 0.5, "track": 7}
    frame = {"frame": 5, "time": 0.2, "objects": [car]}
    pages = [{"prediction": [frame], "next_cursor": "c"}, {"prediction": []}]
    script = Script([answer(200, page) for page in pages])
    script.run(
        results.detections(script.core, "v", classes=["car"], min_conf=0.4, start=1, end=9, tracks=True)
    )
    (found,) = script.given
    assert (found.frame, found.objects[0].class_, found.objects[0].track) == (5, "car", 7)
    expected = {"class": "car", "min_conf": "0.4", "tracks": "true", "from": "1", "to": "9", "format": "json"}
    assert expected.items() <= script.query().items()
    assert script.query(1)["cursor"] == "c"


def test_what_is_still_computed_is_asked_for_again() -> None:
    summary = {"event_id": "v", "gap": 1, "interval": 0.2, "looked_at": 2, "not_looked_at": 0, "classes": []}
    script = Script([answer(202, {"status": "computing"}, retry_after="2"), answer(200, summary)])
    assert script.run(results.summary(script.core, "v")).looked_at == 2
    assert script.slept == [2.25]


def test_what_takes_longer_than_the_caller_waits_is_too_busy() -> None:
    script = Script([answer(202, {"status": "making"}, retry_after="2")] * 9)
    with pytest.raises(TooBusy):
        script.run(results.make(script.core, "v", what="annotated", within=5))
    assert sum(script.slept) <= 5


@pytest.mark.parametrize("way", ["summary", "tracks", "detections"])
def test_a_result_that_is_not_there_is_told_from_one_that_never_will_be(way: str) -> None:
    def ask(script: Script) -> None:
        script.run(getattr(results, way)(script.core, "v"))

    detail = "The video has no result yet; its status is sent."
    with pytest.raises(NotReady, match="its status is sent"):
        ask(Script([problem(409, "not_ready", detail)]))
    with pytest.raises(VideoFailed) as raised:
        ask(Script([problem(409, "video_failed", "The video has failed: x", reason="not_a_video")]))
    assert raised.value.code == "not_a_video"


def test_a_core_without_patience_asks_once() -> None:
    script = Script([problem(503, "busy")])
    with pytest.raises(TooBusy):
        script.run(calls.get(Core(Retries(patience=0), clock=lambda: 0.0), "v"))

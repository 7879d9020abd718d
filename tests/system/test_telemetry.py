"""What Kadr tells of its work: the numbers of all roles agree with a result, one trace tells of its video."""

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.local.processes import ROLES
from app.telemetry.metrics import CATALOGUE, EVERYBODY, Role
from app.topics import OUTBOX_EVENTS
from models.shapes import write_clip
from tests.support.pipeline import Pipeline
from tests.support.plain_http import PLAIN
from tests.support.trace_collector import Seen, TraceCollector

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

FRAMES = 103
SAMPLED = 21

Numbers = Mapping[tuple[str, frozenset[tuple[str, str]]], float]
"""By name and labels."""


@dataclass(frozen=True)
class Told:
    """What was told while one good and one bad video, and a message that is none, went through Kadr."""

    good: str
    bad: str
    nothing: str
    before: dict[Role, Numbers]
    after: dict[Role, Numbers]

    def grown(self, name: str, **labels: str) -> float:
        """Return by how much a number has grown, over all roles."""
        key = (name, frozenset(labels.items()))
        return sum(self.after[role].get(key, 0) - self.before[role].get(key, 0) for role in self.after)


def numbers_of(pipeline: Pipeline, role: Role) -> Numbers:
    port = getattr(pipeline.stack.ports, role)
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30, trust_env=False, verify=PLAIN)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def is_quiet(pipeline: Pipeline) -> bool:
    """Return whether nothing of earlier tests is in work."""
    runner = numbers_of(pipeline, "runner")
    return not any(runner[name, frozenset()] for name in ("kadr_videos_open", "kadr_backlog_frames"))


@pytest.fixture(scope="module")
def told(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder: Path = tmp_path_factory.mktemp("told")
    write_clip(folder / "clip.mp4", seed=41, frames=FRAMES, fps=25, size=(512, 288))
    (folder / "notes.mp4").write_bytes(b"this is no video\n" * 100)
    pipeline.wait_until(lambda: is_quiet(pipeline), seconds=60)
    before = {role: numbers_of(pipeline, role) for role in EVERYBODY}
    good, bad = pipeline.submit(folder / "clip.mp4"), pipeline.submit(folder / "notes.mp4")
    assert len(pipeline.wait_for(good)["prediction"]) == SAMPLED
    assert pipeline.wait_for(bad)["error"]["code"] == "not_a_video"
    nothing = str(uuid.uuid4())
    pipeline.publish(OUTBOX_EVENTS.name, nothing.encode(), b"no message")
    found = Told(good, bad, nothing, before, {})

    def is_told() -> bool:
        found.after.update({role: numbers_of(pipeline, role) for role in EVERYBODY})
        return (
            found.grown("kadr_videos_ended_total", outcome="ready", code="") >= 1
            and found.grown("kadr_videos_ended_total", outcome="failed", code="not_a_video") >= 1
            and found.grown("kadr_messages_rejected_total", topic="outbox_events", code="malformed") >= 1
        )

    pipeline.wait_until(is_told, seconds=60, otherwise=lambda: str(found.after["api"]))
    return found


def test_every_role_shows_its_numbers_and_no_others(told: Told) -> None:
    for role, numbers in told.after.items():
        shown = {name for name, _ in numbers if name.startswith("kadr_")}
        for entry in CATALOGUE:
            names = {f"{entry.name}_count", entry.name}
            if role not in entry.roles:
                assert not names & shown, entry.name
            elif not entry.labels:
                assert names & shown, entry.name
        assert ("process_resident_memory_bytes", frozenset()) in numbers


def test_as_many_frames_go_into_each_stage_as_come_out_in_the_result(told: Told) -> None:
    for name in ("decoded", "detected", "gathered"):
        assert told.grown(f"kadr_frames_{name}_total") == SAMPLED, name
    assert told.grown("kadr_result_frames_total") == SAMPLED
    assert told.grown("kadr_messages_handled_total", topic="inference_tasks") == SAMPLED
    assert told.grown("kadr_objects_found_total") > 0
    assert told.grown("kadr_frames_failed_total", code="other") == 0
    assert told.grown("kadr_results_stored_total") == 1


def test_each_stage_of_a_video_is_timed_by_the_role_that_does_it(told: Told) -> None:
    for stage in ("upload", "outbox", "queue", "fetch", "decode", "detect", "gather", "write", "video"):
        assert told.grown("kadr_stage_seconds_count", stage=stage) >= 1, stage
        assert told.grown("kadr_stage_seconds_sum", stage=stage) > 0, stage


def test_a_bad_video_and_a_bad_message_are_counted_by_their_codes(told: Told) -> None:
    assert told.grown("kadr_videos_ended_total", outcome="failed", code="not_a_video") == 1
    assert told.grown("kadr_splits_ended_total", outcome="failed", code="not_a_video") == 1
    assert told.grown("kadr_messages_rejected_total", topic="outbox_events", code="malformed") == 1


def test_requests_are_counted_by_the_template_of_their_route(told: Told) -> None:
    upload = {"method": "POST", "route": "/api/upload_video", "status": "200"}
    assert told.grown("kadr_http_request_seconds_count", **upload) == 2
    assert told.grown("kadr_upload_bytes_total") > 0
    assert told.grown("kadr_videos_accepted_total") == 2
    routes = {dict(labels).get("route", "") for _, labels in told.after["api"]}
    assert "/api/result_video/{event_id}" in routes
    assert not any(told.good in route for route in routes)


def test_one_video_is_one_trace_across_all_roles(
    pipeline: Pipeline, told: Told, collector: TraceCollector
) -> None:
    expected = {
        ("kadr-api", "submit"),
        ("kadr-api", "upload"),
        ("kadr-outbox", "outbox"),
        *(("kadr-runner", name) for name in ("queue", "fetch", "decode")),
        ("kadr-inference", "detect"),
        *(("kadr-results", name) for name in ("gather", "write", "video")),
    }

    def spans() -> list[Seen]:
        return collector.of_trace(told.good.replace("-", ""))

    pipeline.wait_until(lambda: {(each.service, each.name) for each in spans()} >= expected, seconds=30)
    found = spans()
    (root,) = [each for each in found if not each.parent]
    assert (root.service, root.name) == ("kadr-api", "submit")
    assert {each.parent for each in found if each is not root} == {root.id}
    assert len(found) <= 2 * len(expected), "some spans for a stage, not one for each frame"
    assert all(each.facts["kadr.video_id"] == told.good and each.start <= each.end for each in found)
    frames = [each.facts["kadr.frames"] for each in found if each.name in ("decode", "detect", "gather")]
    assert sum(frames) == 3 * SAMPLED


def lines_of(pipeline: Pipeline, role: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of a log, but for what libraries print before ours begins."""
    text = pipeline.stack.folder.log(role).read_text(encoding="utf-8")
    return (json.loads(line) for line in text.splitlines() if line.startswith("{"))


def test_a_video_can_be_followed_through_the_log_of_every_role(pipeline: Pipeline, told: Told) -> None:
    events = {
        "api": "video state changed",
        "outbox": "event sent",
        "runner": "video is split",
        "inference": "frames looked at",
        "results": "video is ready",
    }

    def lines(role: str, event: str) -> list[dict[str, Any]]:
        found = lines_of(pipeline, role)
        return [line for line in found if (line["event"], line.get("video_id")) == (event, told.good)]

    pipeline.wait_until(lambda: all(lines(role, event) for role, event in events.items()), seconds=30)
    for role, event in events.items():
        line = lines(role, event)[-1]
        assert (line["role"], line["level"]) == (role, "INFO")
        assert line["trace_id"] == told.good.replace("-", "")
    assert sum(line["frames"] for line in lines("inference", "frames looked at")) == SAMPLED


def test_every_line_that_is_about_a_video_says_which_in_one_field(pipeline: Pipeline, told: Told) -> None:
    videos = {told.good, told.bad, told.nothing}
    found = set()
    for role in ("api", *ROLES):
        for line in lines_of(pipeline, role):
            if any(video_id in json.dumps(line) for video_id in videos):
                assert line["video_id"] in videos, line
                found.add(line["event"])
    assert {"video is ready", "video has failed"} <= found
    assert any(event.startswith("set aside: malformed") for event in found)

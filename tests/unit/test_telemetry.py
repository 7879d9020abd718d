"""The numbers and spans of a process: their names, what they are kept apart by, what they cost to have."""

import os
import re
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from app.telemetry import tracing
from app.telemetry.exposition import Exposition
from app.telemetry.identity import is_among, root_span_id, trace_id
from app.telemetry.metrics import CATALOGUE, EVERYBODY, OTHER, STAGE_SECONDS, Entry, Role, known_code
from app.telemetry.reference import tables
from app.telemetry.stages import STAGES, note_stage, timed
from app.telemetry.subject import about, subject
from app.telemetry.tracing import Facts, share_of
from app.telemetry.windows import IDLE, WHILE, Windows

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/metrics.md"

BOUNDED = {
    *("agent", "code", "kind", "method", "outcome", "python"),
    *("role", "route", "service", "stage", "status", "topic", "version"),
}
"""Labels of which there are few values, whatever clients do."""

VIDEO = "3f2b8c1e-5d7a-4c9b-8e21-0a1b2c3d4e5f"

each_entry = pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)


@dataclass
class Kept:
    """Spans that were made, instead of a collector."""

    spans: list[tuple[str, str, float, float, str | None, Facts]] = field(default_factory=list)

    def add(
        self,
        name: str,
        video_id: str,
        start: float,
        end: float,
        *,
        error: str | None,
        facts: Facts,
        is_root: bool,
    ) -> None:
        del is_root
        self.spans.append((name, video_id, start, end, error, facts))

    def stop(self) -> None:
        """Nothing waits."""


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    made = Kept()
    monkeypatch.setattr(tracing._Tracing, "spans", made)
    return made


# Numbers


@each_entry
def test_a_name_says_its_unit_and_kind_as_prometheus_wants_it(entry: Entry) -> None:
    assert re.fullmatch(r"kadr_[a-z_]+", entry.name)
    assert (entry.kind == "counter") is entry.name.endswith("_total")
    assert (entry.kind == "histogram") <= entry.name.endswith("_seconds")
    assert entry.meaning.endswith(".")


@each_entry
def test_no_label_is_chosen_by_a_client(entry: Entry) -> None:
    assert set(entry.labels) <= BOUNDED


def test_each_name_is_there_once() -> None:
    names = [entry.name for entry in CATALOGUE]
    assert len(set(names)) == len(names)


def test_a_code_that_is_none_of_ours_shares_one_label_with_all_others() -> None:
    assert known_code("not_a_video") == "not_a_video"
    assert known_code(f"x{uuid.uuid4()}") == OTHER


@pytest.mark.parametrize("role", EVERYBODY)
def test_a_role_shows_its_own_numbers_in_the_text_format(role: Role) -> None:
    text = Exposition(role).render().decode()
    families = {family.name for family in text_string_to_metric_families(text)}
    expected = {entry.name.removesuffix("_total") for entry in CATALOGUE if role in entry.roles}
    assert {name for name in families if name.startswith("kadr_")} == expected
    assert "_created" not in text


def test_failures_are_zero_before_the_first_so_that_an_alert_sees_the_increase() -> None:
    text = Exposition("api").render().decode()
    assert re.search(r'^kadr_videos_ended_total\{code="frames_lost",outcome="failed"\}', text, re.MULTILINE)


@pytest.mark.parametrize("role", EVERYBODY)
def test_a_role_shows_the_stages_that_it_does(role: Role) -> None:
    Exposition(role)
    shown = {sample.labels["stage"] for sample in next(iter(STAGE_SECONDS.collect())).samples}
    assert {stage for stage, (whose, _) in STAGES.items() if whose == role} <= shown


def test_the_page_has_the_table_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    begin, end = "<!-- table -->\n", "<!-- end of table -->\n"
    before, _, rest = text.partition(begin)
    written, _, after = rest.partition(end)
    if os.environ.get("RENEW"):
        PAGE.write_text(before + begin + tables() + end + after, encoding="utf-8")
        written = tables()
    assert written == tables(), "RENEW=1 writes it anew"


def counted(stage: str) -> float:
    samples = next(iter(STAGE_SECONDS.collect())).samples
    return sum(s.value for s in samples if s.name.endswith("_count") and s.labels["stage"] == stage)


def test_what_fails_is_not_timed_but_a_span_says_why(kept: Kept) -> None:
    before = counted("fetch")
    with pytest.raises(ValueError, match="gone"), timed("fetch", VIDEO, bytes=7):
        raise ValueError("gone")
    assert counted("fetch") == before
    with timed("fetch", VIDEO) as noted:
        noted["bytes"] = 9
    assert counted("fetch") == before + 1
    assert [(each[0], each[4], each[5]) for each in kept.spans] == [
        ("fetch", "ValueError", {"bytes": 7}),
        ("fetch", None, {"bytes": 9}),
    ]


def test_a_stage_that_began_long_ago_is_timed_from_then(kept: Kept) -> None:
    before = counted("queue")
    note_stage("queue", VIDEO, 100.0, 103.5, attempt=2)
    assert counted("queue") == before + 1
    assert kept.spans == [("queue", VIDEO, 100.0, 103.5, None, {"attempt": 2})]


# Traces


def test_the_trace_of_a_video_is_named_like_it() -> None:
    assert f"{trace_id(VIDEO):032x}" == VIDEO.replace("-", "")


@pytest.mark.parametrize("video_id", [VIDEO, "clip-7", str(uuid.UUID(int=0)), "x" * 64])
def test_every_video_has_a_trace_and_a_root_that_the_standard_allows(video_id: str) -> None:
    assert 0 < trace_id(video_id) < 2**128
    assert 0 < root_span_id(video_id) < 2**64


def test_a_share_of_all_videos_is_traced_and_every_process_decides_the_same() -> None:
    videos = [str(uuid.UUID(int=number << 64 | number)) for number in range(1, 2001)]
    chosen = [is_among(video_id, 0.25) for video_id in videos]
    assert 400 < sum(chosen) < 600
    assert chosen == [is_among(video_id, 0.25) for video_id in videos]
    assert all(is_among(video_id, 1) for video_id in videos)
    assert not any(is_among(video_id, 0) for video_id in videos)


@pytest.mark.parametrize(
    ("environment", "share"),
    [
        ({}, 1.0),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, 0.0),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}, 0.1),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "many"}, 1.0),
    ],
    ids=str,
)
def test_the_standard_variables_say_which_share(environment: dict[str, str], share: float) -> None:
    assert share_of(environment) == share


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported() -> None:
    code = (
        "import sys, app.logs, app.telemetry.stages as s; from app.telemetry import tracing as t;"
        "t.start_tracing('runner', ''); s.note_stage('video', 'a', 1, 2);"
        "print(t.is_on(), [name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "False []"


def test_without_the_extra_there_is_a_warning_and_no_trace(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "app.telemetry.spans", None)
    tracing.start_tracing("runner", "http://127.0.0.1:9")
    assert not tracing.is_on()
    assert "kadr[tracing] is not installed" in caplog.text


# Work in small pieces


class Later:
    """A clock, and an event loop that does nothing by itself."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_pieces_of_work_are_one_span_when_no_more_come(kept: Kept) -> None:
    clock = Later()
    windows = Windows("detect", clock=clock)
    for number in range(5):
        windows.add(VIDEO, 1000.0 + number, 1000.5 + number, frames=8)
    clock.now = 1004.5 + IDLE - 0.1
    windows.look()
    assert not kept.spans
    clock.now += 0.2
    windows.look()
    facts = {"batches": 5, "frames": 40, "busy_seconds": 2.5}
    assert kept.spans == [("detect", VIDEO, 1000.0, 1004.5, None, facts)]


async def test_a_long_video_is_told_of_now_and_then(kept: Kept) -> None:
    clock = Later()
    windows = Windows("detect", clock=clock)
    for second in range(600):
        clock.now = 1000.0 + second
        windows.add(VIDEO, clock.now, clock.now, frames=100)
        windows.look()
    windows.close(VIDEO)
    assert len(kept.spans) == pytest.approx(600 / WHILE, abs=1)
    assert sum(int(each[5]["frames"]) for each in kept.spans) == 60_000


async def test_what_was_looked_at_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    windows = Windows("detect", event="frames looked at")
    windows.add("a", 1.0, 2.0, frames=3)
    windows.add("a", 2.0, 3.0, frames=3)
    windows.close("a")
    windows.close("a")
    (line,) = [each for each in caplog.records if each.getMessage() == "frames looked at"]
    told: dict[str, Any] = vars(line)
    assert (told["video_id"], told["frames"], told["seconds"]) == ("a", 6, 2.0)


def test_a_subject_is_that_of_the_innermost_block() -> None:
    assert subject() == ""
    with about("a"):
        with about("b"):
            assert subject() == "b"
        assert subject() == "a"
    assert subject() == ""


def test_every_metric_is_of_the_kind_that_the_table_says() -> None:
    kinds = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}
    assert all(isinstance(each.metric, kinds[each.kind]) for each in CATALOGUE if each.kind in kinds)

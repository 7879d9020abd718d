"""The report of a benchmark, and the order of its turns."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgspec

from app.domain.precision import Precision
from benchmarks.course import plan_turns
from benchmarks.findings import (
    SIDES,
    Findings,
    MachineFacts,
    ParityFacts,
    Run,
    Sample,
    Side,
    VideoFacts,
)
from benchmarks.machine import changed_settings
from benchmarks.processor import Usage
from benchmarks.report import judged, render, table
from benchmarks.service import own_environment, split_decoders
from benchmarks.targets import Target
from benchmarks.videos import Video

MACHINE = MachineFacts("a processor", ("avx2",), 2, 23.5, "Linux 6", (0.5, 0.4, 0.3), 0)

WALLS: dict[Side, float] = {"kadr": 1.0, "torch": 2.5, "openvino": 1.5, "floor": 0.9}


def findings(precision: Precision = "f32") -> Findings:
    """A run over one video, everybody three times."""
    run = Run(precision, "openvino f32")
    for repetition in range(3):
        for side in SIDES:
            cpu = (
                {"inference": 600.0, "decoders": 200.0, "kafka": 90.0}
                if side == "kadr"
                else {"decode": 100.0, "graph": 800.0}
            )
            run.samples.append(Sample(side, "vtest", repetition, 20, WALLS[side], cpu, 0.1, 0.05))
    run.latencies = [0.5] * 19 + [1.5]
    run.idle = {"kafka": 12.0}
    run.parity = {"vtest": ParityFacts(20, 100, 97, 3, 0, 95, 97, 0.001, 0.01)}
    return Findings(
        began="2026-01-01T00:00:00+00:00",
        commit="abc",
        model=("yolov8n", "0" * 64),
        machine=MACHINE,
        versions={"python": "3.11.0"},
        settings={},
        videos=[VideoFacts("vtest", 480, 360, 100, is_drawn=False)],
        runs=[run],
    )


def line_with(text: str, *words: str) -> str:
    """The only line of a report with all of these words."""
    (found,) = [line for line in text.splitlines() if all(word in line for word in words)]
    return found


def test_every_ratio_stands_beside_its_target() -> None:
    text = render(findings())
    assert "| 2.50x | 2.50 to 2.50 | ≥ 2x, goal 2.3x | goal reached |" in line_with(text, "torch / Kadr")
    assert "| 1.11x | 1.11 to 1.11 | ≤ 1.4x, goal 1.2x | goal reached |" in line_with(text, "Kadr / floor")


def test_int8_has_targets_of_its_own_and_none_for_the_floor() -> None:
    text = render(findings("int8"))
    assert "≥ 3.3x, goal 4x | missed" in line_with(text, "torch / Kadr")
    assert line_with(text, "Kadr / floor").endswith("| - | - |")


def test_the_overhead_is_what_neither_decodes_nor_looks() -> None:
    text = render(findings())
    assert line_with(text, "**without decoders and inference**").startswith(
        "| **without decoders and inference** | **4.50** |"
    )
    assert "reached" in line_with(text, "target: ≤ 8 ms")


def test_decoding_and_looking_stand_beside_what_they_cost_barely() -> None:
    text = render(findings())
    assert line_with(text, "| inference |").startswith("| inference | 30.00 |")
    assert line_with(text, "floor: bare graph").startswith("| floor: bare graph | 40.00 |")


def test_latency_and_parity_stand_beside_their_targets() -> None:
    text = render(findings())
    assert line_with(text, "| p50 |") == "| p50 | 0.50 s | ≤ 0.8 s | reached |"
    assert line_with(text, "| p95 |") == "| p95 | 0.55 s | ≤ 1.2 s | reached |"
    assert "| 97 of 100 | 97.00 % | ≥ 98 % | missed |" in line_with(text, "97 of 100")


def test_a_crowded_machine_is_warned_of() -> None:
    crowded = findings()
    crowded.runs[0].samples = [replace(each, others=1.2) for each in crowded.runs[0].samples]
    assert "was not idle" in render(crowded)
    assert "was not idle" not in render(findings())


def test_a_run_without_samples_is_reported_too() -> None:
    empty = findings()
    empty.runs = [Run("f32")]
    assert "## The run" in render(empty)


def test_what_is_written_is_what_is_read() -> None:
    wanted = findings()
    assert msgspec.json.decode(msgspec.json.encode(wanted), type=Findings) == wanted


def test_a_figure_that_was_not_measured_is_a_dash() -> None:
    assert judged(None, Target(2)) == ["-", "≤ 2", "-"]
    assert judged(3.0, None) == ["3.00", "-", "-"]


def test_a_table_is_markdown() -> None:
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_everybody_has_as_many_turns_with_each_video_and_nobody_always_begins() -> None:
    videos = [Video(Path(name), VideoFacts(name, 1, 1, 5, is_drawn=True)) for name in ("one", "two")]
    turns = list(plan_turns(SIDES, videos, 4))
    counted = Counter((turn.video.name, turn.side) for turn in turns)
    assert set(counted.values()) == {4}
    assert len(counted) == len(SIDES) * len(videos)
    beginners = [turns[number].side for number in range(0, len(turns), len(SIDES))]
    assert set(beginners) == set(SIDES)


def test_the_runners_children_stand_apart_from_it() -> None:
    used = {"runner": Usage(own=5, children=70), "api": Usage(own=1, children=2)}
    assert split_decoders(used, children=90) == {"runner": 5, "api": 3, "decoders": 90}


def test_the_users_servers_and_data_are_left_alone() -> None:
    given = {"MONGO_URI": "m", "KAFKA_BOOTSTRAP_SERVERS": "k", "DATA_DIR": "d", "BATCH_SIZE": "4"}
    assert own_environment(given) == {"BATCH_SIZE": "4"}


def test_settings_that_were_changed_are_reported_but_no_secrets_and_no_servers() -> None:
    given = {"BATCH_SIZE": "4", "MINIO_SECRET_KEY": "s", "MONGO_URI": "m", "API_URL": "u", "IMGSZ": ""}
    assert changed_settings(given) == {"BATCH_SIZE": "4"}

"""`kadr detect` against a stand-in: many files, a result for each, and what is interrupted is cancelled."""

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from rich.console import Console

from app.cli import addresses, exits
from app.cli.bars import open_bars, seconds_left
from app.cli.detecting import name_targets
from app.cli.entry import run
from app.cli.wording import duration
from tests.support.kadr_stand_in import Drop, StandIn, open_stand_in, refused, said
from tests.support.stack import own_environment, wait_until

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandIn]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KADR_API_KEY", raising=False)
    monkeypatch.setattr(addresses, "TRIES", 1)
    with open_stand_in() as found:
        monkeypatch.setenv("API_URL", found.url)
        yield found


def draw(*names: str) -> list[str]:
    """Files that the stand-in takes for videos."""
    for name in names:
        Path(name).parent.mkdir(exist_ok=True, parents=True)
        Path(name).write_bytes(b"frames")
    return list(names)


def test_each_file_gets_a_result_of_its_own(stand_in: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["detect", *draw("a/x.mp4", "b/x.mp4", "y.mkv"), "-o", "out"]) == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["x-2.json", "x.json", "y.json"]
    assert Path("out/y.json").read_bytes() == stand_in.result()
    assert capsys.readouterr().out.count("ready  2 frames  2 objects") == 3


def test_more_files_than_are_followed_at_once_are_all_done(stand_in: StandIn) -> None:
    files = draw(*(f"{number}.mp4" for number in range(50)))
    assert run(["detect", *files]) == 0
    assert len(list(Path("results").iterdir())) == 50
    assert stand_in.submitted == 50


def test_connections_that_are_lost_cost_no_file_and_submit_none_twice(stand_in: StandIn) -> None:
    stand_in.losses = dict.fromkeys(get_args(Drop), 6)
    assert run(["detect", *draw(*(f"{number}.mp4" for number in range(20)))]) == 0
    assert {path.read_bytes() for path in Path("results").iterdir()} == {stand_in.result()}
    assert (len(list(Path("results").iterdir())), stand_in.submitted) == (20, 20)
    assert stand_in.losses == dict.fromkeys(get_args(Drop), 0)


def test_a_result_that_is_there_is_never_overwritten_silently(
    stand_in: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    files = draw("x.mp4", "y.mp4", "results/x.json")
    assert run(["detect", *files[:2]]) == exits.EXIT_FILE
    assert "results/x.json: There is such a file" in capsys.readouterr().err
    assert stand_in.seen == []
    assert run(["detect", *files[:2], "--existing", "skip"]) == 0
    assert (stand_in.submitted, Path("results/x.json").read_bytes()) == (1, b"frames")
    assert run(["detect", *files[:2], "--existing", "replace"]) == 0
    assert Path("results/x.json").read_bytes() == stand_in.result()


def test_one_failure_fails_the_command_and_the_others_are_done(
    stand_in: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.states[1] = [{"status": "failed", "error": {"code": "no_frames", "message": "None."}}]
    assert run(["detect", "--json", "--format", "csv", *draw("x.mp4", "y.mp4")]) == exits.EXIT_FAILED
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(each["status"] for each in told) == ["failed", "ready"]
    assert [path.suffix for path in Path("results").iterdir()] == [".csv"]


def test_a_refused_file_is_told_and_nothing_is_written(stand_in: StandIn) -> None:
    stand_in.refusals = [refused(422, "invalid", "conf is too high")]
    assert run(["detect", "--conf", "9", *draw("x.mp4")]) == exits.EXIT_FAILED
    assert list(Path("results").iterdir()) == []


def test_a_missing_file_begins_nothing(stand_in: StandIn) -> None:
    assert run(["detect", *draw("x.mp4"), "nowhere.mp4"]) == exits.EXIT_FILE
    assert stand_in.seen == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_interrupted_is_cancelled(stand_in: StandIn, tmp_path: Path, number: signal.Signals) -> None:
    for video in (1, 2):
        stand_in.states[video] = [{"status": "processing"}]
    files = draw("x.mp4", "y.mp4")
    environment = {**own_environment(), "API_URL": stand_in.url, "PYTHONPATH": str(CHECKOUT)}
    command = (sys.executable, "-m", "app.cli", "detect", *files)
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: sum(each.path.endswith("/events") for each in stand_in.seen) >= 2)
        began = time.monotonic()
        process.send_signal(number)
        _, notes = process.communicate(timeout=30)
    assert process.returncode == exits.EXIT_INTERRUPTED, notes
    assert time.monotonic() - began < 10
    assert "Traceback" not in notes
    cancelled = {each.path for each in stand_in.seen if each.path.endswith("/cancel")}
    assert cancelled == {"/api/v1/videos/id-1/cancel", "/api/v1/videos/id-2/cancel"}


def test_a_kadr_that_is_there_already_is_used_and_nothing_is_started(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("API_URL")
    monkeypatch.setenv("API_PORT", stand_in.url.rpartition(":")[2])
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    stand_in.others["GET /health/ready"] = [said({"ready": True})]
    assert run(["detect", *draw("x.mp4")]) == 0
    assert stand_in.submitted == 1
    assert not (tmp_path / "data").exists()


def test_a_result_that_cannot_be_had_fails_its_file_and_no_other(
    stand_in: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.others["GET /api/v1/videos/id-1/detections"] = [refused(422, "invalid", "no such form")]
    assert run(["detect", *draw("x.mp4", "y.mp4")]) == exits.EXIT_FAILED
    assert "no such form" in capsys.readouterr().out
    assert len(list(Path("results").iterdir())) == 1


def test_names_are_given_once() -> None:
    files = [Path("a/x.mp4"), Path("x-2.mp4"), Path("b/x.avi"), Path("x.mp4")]
    found = [target.name for target in name_targets(files, Path("out"), "coco")]
    assert found == ["x.coco.json", "x-2.coco.json", "x-3.coco.json", "x-4.coco.json"]


def test_the_clock_of_all_files_goes_on_until_the_last_one_has_ended() -> None:
    with open_bars(Console(file=io.StringIO()), 2) as bars:
        (everything,) = bars._progress.tasks
        one, other = bars.add("x.mp4"), bars.add("y.mp4")
        for each in (one, other):
            each.sent(100)(100)
        assert everything.completed == 0
        one.end(5, "ready")
        bars.show(other._task, 5, 5, "", share=1.0)
        assert not everything.finished
        other.end(5, "ready")
        assert everything.finished


def test_the_rest_takes_as_long_as_it_took_so_far() -> None:
    assert seconds_left(10, 0, 4) is None
    assert seconds_left(10, 1, 4) == 30
    assert seconds_left(10, 4, 4) == 0


@pytest.mark.parametrize("case", [(9.6, "10 s"), (61, "1 min 1 s"), (7325, "2 h 2 min")])
def test_a_duration_is_said_as_people_say_it(case: tuple[float, str]) -> None:
    assert duration(case[0]) == case[1]

"""A clip through the whole of Kadr, on real servers: what a user would see."""

import json
from pathlib import Path

import httpx
import pytest

from app.domain.failures import SENTENCES
from models.score import score
from models.shapes import write_clip
from tests.support.clips import cut
from tests.support.clips import write_clip as write_sized_clip
from tests.support.pipeline import Pipeline

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

HELD_OUT_SEED = 90_017
"""Far from the seeds that the demo model was trained with."""


def numbers_of(result: dict[str, object]) -> list[int]:
    prediction = result["prediction"]
    assert isinstance(prediction, list)
    return [frame["frame"] for frame in prediction]


def test_the_demo_model_finds_what_is_in_a_held_out_clip(pipeline: Pipeline, tmp_path: Path) -> None:
    truths = write_clip(tmp_path / "clip.mp4", seed=HELD_OUT_SEED, frames=103, fps=25, size=(640, 360))

    result = pipeline.wait_for(pipeline.submit(tmp_path / "clip.mp4"))

    assert result["status"] == "ready"
    assert numbers_of(result) == list(range(0, 103, 5))
    assert [frame["time"] for frame in result["prediction"]] == pytest.approx(
        [number / 25 for number in range(0, 103, 5)], abs=0.002
    )
    found = score([each for each in truths if each.frame % 5 == 0], result["prediction"], iou=0.5)
    assert found.precision >= 0.95
    assert found.recall >= 0.95


def test_the_result_says_what_was_looked_at_and_by_which_model(pipeline: Pipeline, tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", seed=1, frames=20, fps=10, size=(512, 288))

    result = pipeline.wait_for(pipeline.submit(tmp_path / "clip.mp4"))

    assert result["video"] == {
        "width": 512,
        "height": 288,
        "fps": 10.0,
        "duration": 2.0,
        "frames": 20,
        "sampled": 4,
        "truncated": False,
    }
    assert result["model"]["demo"] is True
    assert "MODEL=yolo11n.pt" in result["model"]["note"]
    assert "MODEL=yolo11n.pt" in pipeline.page("inference", "/health")["model"]["note"]
    assert result["model"]["name"] == "demo"
    assert len(result["model"]["sha256"]) == 64


def test_a_clip_without_objects_has_every_frame_and_no_objects(pipeline: Pipeline, tmp_path: Path) -> None:
    write_clip(tmp_path / "empty.mp4", seed=2, frames=11, fps=25, size=(512, 288), objects=0)

    result = pipeline.wait_for(pipeline.submit(tmp_path / "empty.mp4"))

    assert [(frame["frame"], frame["objects"]) for frame in result["prediction"]] == [
        (0, []),
        (5, []),
        (10, []),
    ]


def test_several_videos_at_once_all_become_ready_and_whole(pipeline: Pipeline, tmp_path: Path) -> None:
    lengths = [7, 30, 61, 98]
    ids = []
    for number, length in enumerate(lengths):
        write_clip(tmp_path / f"{number}.mp4", seed=number, frames=length, fps=25, size=(512, 288))
        ids.append(pipeline.submit(tmp_path / f"{number}.mp4"))

    results = [pipeline.wait_for(video_id) for video_id in ids]

    assert [numbers_of(result) for result in results] == [list(range(0, length, 5)) for length in lengths]


def test_what_is_no_video_fails_with_a_reason(pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_bytes(b"this is no video\n" * 100)

    result = pipeline.wait_for(pipeline.submit(tmp_path / "notes.mp4"))

    assert result["status"] == "failed"
    assert result["error"]["code"] == "not_a_video"


def test_a_file_that_breaks_off_is_looked_at_and_says_up_to_where(pipeline: Pipeline, tmp_path: Path) -> None:
    whole = write_sized_clip(tmp_path / "clip.ts", frames=100)

    result = pipeline.wait_for(pipeline.submit(cut(whole, 0.55)))

    assert result["status"] == "ready"
    video = result["video"]
    assert video["truncated"] is True
    assert 1 < video["truncated_at"] == video["duration"] < 3.9
    assert numbers_of(result) == list(range(0, video["frames"], 5))


def test_a_file_that_breaks_off_before_its_first_frame_fails_and_says_so(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    whole = write_sized_clip(tmp_path / "clip.mp4", frames=100)

    result = pipeline.wait_for(pipeline.submit(cut(whole, 0.5)))

    assert result["status"] == "failed"
    assert result["error"] == {"code": "truncated", "message": SENTENCES["truncated"]}


def test_the_runner_says_what_protects_it_from_its_decoders(pipeline: Pipeline) -> None:
    told = pipeline.page("runner", "/health")["decoder_sandbox"]
    assert told["no_new_privileges"] == "on"
    assert all(state == "on" or state.startswith("off: ") for state in told.values())
    assert "decoders are in a sandbox" in pipeline.stack.folder.log("runner").read_text()


def test_a_ready_video_is_in_the_list_in_the_words_of_the_contract(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    write_clip(tmp_path / "clip.mp4", seed=3, frames=6, fps=25, size=(512, 288))
    video_id = pipeline.submit(tmp_path / "clip.mp4")
    pipeline.wait_for(video_id)

    def listed() -> dict[str, str]:
        operations = pipeline.api.get("/api/status/all").json()["operations"]
        return {each["video_id"]: each["status_description"] for each in operations}

    pipeline.wait_until(lambda: listed()[video_id] == "Результат сохранён в S3 и готов к забору", seconds=20)


def test_the_runner_record_ends_as_ready_with_every_frame_counted(pipeline: Pipeline, tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", seed=4, frames=31, fps=25, size=(512, 288))
    video_id = pipeline.submit(tmp_path / "clip.mp4")
    pipeline.wait_for(video_id)

    pipeline.wait_until(lambda: (pipeline.record(video_id) or {})["status"] == "ready", seconds=20)

    record = pipeline.record(video_id)
    assert record is not None
    assert (record["total_frames"], record["received_frames"], record["split_frames"]) == (7, 7, 7)
    assert record["output_s3"] == {"bucket": "videos", "object": f"detection/{video_id}.json"}


def test_every_role_shows_its_agents_with_no_lag_when_idle(pipeline: Pipeline) -> None:
    names = {
        role: [agent["name"] for agent in pipeline.page(role, "/agents")["agents"]]
        for role in ("outbox", "runner", "inference", "results")
    }

    assert names == {
        "outbox": ["outbox"],
        "runner": ["frame_splitter", "gap_filler"],
        "inference": ["inference"],
        "results": ["result_aggregator", "split_recorder", "s3_outbox"],
    }
    pipeline.wait_until(
        lambda: all(agent["lag"] == 0 for agent in pipeline.page("results", "/agents")["agents"]), seconds=20
    )


def test_a_finished_video_leaves_only_its_tombstone_in_the_table(pipeline: Pipeline, tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", seed=5, frames=6, fps=25, size=(512, 288))
    video_id = pipeline.submit(tmp_path / "clip.mp4")
    pipeline.wait_for(video_id)

    def held() -> dict[str, object]:
        found: dict[str, object] = pipeline.page("results", f"/videos/{video_id}")
        return found

    pipeline.wait_until(lambda: held()["rows"] == [], seconds=20)
    head = held()["head"]
    assert isinstance(head, dict)
    assert set(head) == {"attempt", "state", "changed_at"}
    assert len(json.dumps(head)) <= 200


def test_cleanup_empties_the_list_and_removes_everything_that_is_ours(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    write_clip(tmp_path / "clip.mp4", seed=7, frames=400, fps=25, size=(512, 288))
    video_ids = [pipeline.submit(tmp_path / "clip.mp4") for _ in range(3)]

    answer = pipeline.api.delete("/api/cleanup/all")

    assert answer.status_code == httpx.codes.OK
    assert pipeline.api.get("/api/status/all").json()["total"] == 0
    assert pipeline.api.get(f"/api/result_video/{video_ids[0]}").status_code == httpx.codes.NOT_FOUND
    outbox = pipeline.mongo["main_db"]["outbox"]
    pipeline.wait_until(lambda: outbox.count_documents({}) == 0, seconds=90)  # with those of other tests
    records = pipeline.mongo["runner_db"]["runner_predictions"]
    assert {each["status"] for each in records.find({"_id": {"$in": video_ids}})} <= {"deleted"}
    assert pipeline.page("results", f"/videos/{video_ids[0]}")["rows"] == []

"""What can be looked at of a video, on the whole of Kadr: from the upload to its deletion."""

import io
from pathlib import Path

import av
import cv2
import httpx
import msgspec
import numpy as np
import pytest

from app.decoding.drawing import color_of
from app.domain.objects import (
    derived_folder,
    input_object,
)
from app.domain.renderings import SIGNATURE, FrameAsked, sign
from models.shapes import write_clip
from tests.support.clips import Picture
from tests.support.objects import names_below
from tests.support.pipeline import Pipeline

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


def made(pipeline: Pipeline, path: str) -> httpx.Response:
    """What is made of a video, once it is there."""
    seen: list[httpx.Response] = []

    def is_made() -> bool:
        answer = pipeline.api.get(path)
        seen.append(answer)
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:  # of a server that is busy; not yet, then
            return False
        assert answer.status_code in {200, 202}, answer.text
        if answer.status_code == httpx.codes.ACCEPTED:
            assert answer.headers["location"] == path
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["status"] in {"queued", "making"}
        return answer.status_code == httpx.codes.OK

    pipeline.wait_until(is_made)
    return seen[-1]


def pixels(answer: httpx.Response) -> Picture:
    """The picture that a JPEG holds."""
    assert answer.headers["content-type"] == "image/jpeg", answer.text
    return np.asarray(cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def test_a_video_can_be_looked_at_until_it_is_deleted_and_then_nothing_of_it_is_left(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    write_clip(clip, seed=4, frames=103, fps=25, size=(640, 360))
    video_id = pipeline.submit(clip)
    result = pipeline.wait_for(video_id)
    base = f"/api/v1/videos/{video_id}"

    media = pipeline.api.get(f"{base}/media")
    assert media.content == clip.read_bytes()
    part = pipeline.api.get(
        f"{base}/media", headers={"Range": "bytes=100-199", "If-Range": media.headers["etag"]}
    )
    assert (part.status_code, part.content) == (206, media.content[100:200])

    bare = pixels(pipeline.api.get(f"{base}/frames/102.jpg"))
    drawn = pixels(pipeline.api.get(f"{base}/frames/102.jpg", params={"boxes": "1"}))
    assert bare.shape == drawn.shape == (360, 640, 3)
    row = next(each for each in result["prediction"] if each["frame"] == 100)
    for found in row["objects"]:
        left, top, right, bottom = found["box"]
        edges = [drawn[(top + bottom) // 2, x] for x in (left, right)] + [drawn[bottom, (left + right) // 2]]
        near = [np.abs(edge.astype(int) - color_of(found["class"])).max() <= 60 for edge in edges]
        assert any(near), found
    assert pipeline.api.get(f"{base}/frames/103.jpg").status_code == 404

    for name in ("annotated.mp4", "preview.mp4"):
        with av.open(io.BytesIO(made(pipeline, f"{base}/{name}").content)) as container:
            frames = [frame.time for frame in container.decode(video=0)]
        assert frames == pytest.approx([number / 25 for number in range(103)], abs=1e-4)
    assert names_below(pipeline.settings, derived_folder(video_id)) == {
        f"{derived_folder(video_id)}annotated.mp4",
        f"{derived_folder(video_id)}preview.mp4",
    }

    assert pipeline.api.delete(base).status_code == 204
    for name in ("media", "frames/0.jpg", "annotated.mp4", "preview.mp4"):
        assert pipeline.api.get(f"{base}/{name}").status_code == 404
    pipeline.wait_until(lambda: not names_below(pipeline.settings, derived_folder(video_id)))
    assert not names_below(pipeline.settings, input_object(video_id))


@pytest.mark.long
def test_what_a_runner_was_making_that_is_killed_is_made_all_the_same(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    write_clip(clip, seed=6, frames=250, fps=25, size=(1280, 720))
    video_id = pipeline.submit(clip)
    path = f"/api/v1/videos/{video_id}/preview.mp4"
    pipeline.wait_until(lambda: pipeline.api.get(path).json()["status"] == "making")
    assert pipeline.stack.kill_program("runner")
    seen: list[httpx.Response] = []

    def is_made() -> bool:
        seen.append(pipeline.api.get(path))
        said = (seen[-1].status_code, seen[-1].headers.get("retry-after"))
        assert said == (200, None) or (said[0] in {202, 503} and said[1])
        return said[0] == httpx.codes.OK

    assert not is_made()
    pipeline.wait_until(is_made)
    with av.open(io.BytesIO(seen[-1].content)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 250
    assert pipeline.wait_for(video_id)["status"] == "ready"


def test_what_is_no_video_cannot_be_looked_at_and_says_why(pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_bytes(b"this is no video\n" * 100)
    video_id = pipeline.submit(tmp_path / "notes.mp4")
    pipeline.wait_for(video_id)
    base = f"/api/v1/videos/{video_id}"

    frame = pipeline.api.get(f"{base}/frames/0.jpg")
    assert (frame.status_code, frame.json()["code"]) == (409, "not_a_video")
    assert pipeline.api.get(f"{base}/annotated.mp4").json()["code"] == "not_ready"
    pipeline.wait_until(lambda: pipeline.api.get(f"{base}/preview.mp4").status_code == 409)
    assert pipeline.api.get(f"{base}/preview.mp4").json()["code"] == "not_a_video"


def test_a_runner_gives_pictures_to_nobody_who_cannot_sign(pipeline: Pipeline, tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", seed=5, frames=6, fps=25, size=(512, 288))
    video_id = pipeline.submit(tmp_path / "clip.mp4")
    pipeline.wait_for(video_id)
    body = msgspec.json.encode(FrameAsked(video_id, "videos", input_object(video_id), 0))
    url = f"http://127.0.0.1:{pipeline.stack.ports.runner}"

    def ask(path: str, content: bytes, signature: str) -> int:
        headers = {SIGNATURE: signature}
        return httpx.post(
            f"{url}{path}", content=content, headers=headers, timeout=30, trust_env=False
        ).status_code

    secret = pipeline.settings.minio_secret_key.get_secret_value()
    assert ask("/frame", body, sign(secret, body)) == 200
    assert ask("/frame", body, sign("guessed", body)) == 403
    assert ask("/frame", body + b" ", sign(secret, body)) == 403
    assert ask("/rendering", body, "") == 403
    assert ask("/rendering", body, sign(secret, body)) == 422
    assert ask("/frame", b" " * 100_000, sign(secret, b" " * 100_000)) == 413

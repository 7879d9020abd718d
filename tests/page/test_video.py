"""The page of a video beside its boxes: timeline, filters, files, and what is said without a result."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from app.domain.messages import Detection, Failure, FrameResult, ModelFacts, VideoFacts
from app.settings import Settings
from tests.page.conftest import OpenPage
from tests.support.api_process import ApiProcess
from tests.support.browser import PHONE
from tests.support.clips import write_clip
from tests.support.listed_videos import ListedVideos
from tests.support.runner_stand_in import RunnerStandIn
from tests.support.shown_videos import ShownVideos
from tests.support.stack import wait_until

FACTS = VideoFacts(320, 192, 25.0, 4.0, 100, 20)

DRAWN_ON = """() => {
  const canvas = document.querySelector("canvas.boxes");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.reduce((sum, value, at) => sum + (at % 4 === 3 && value > 0), 0);
}"""
"""How many pixels of the canvas are drawn on."""

CLICK = """async (name) => {
  document.querySelector(`input[name="${name}"]`).click();
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
"""Click on a class, and come back when it was painted once."""

SEGMENTS = """async (summary) => {
  const { Found } = await import("/page/video/found.js");
  const { segmentsOf } = await import("/page/video/segments.js");
  const found = new Found();
  const answer = await (await fetch(summary.replace("summary", "detections?limit=1000"))).json();
  found.sampled(answer.options.vid_stride, answer.video.fps);
  found.add(answer.prediction);
  return segmentsOf(found, new Uint8Array(found.classes.length).fill(1), 0)
    .map((each) => [found.classes[each.kind], each.start, each.end, each.conf / 10000]);
}"""


def rows() -> list[FrameResult]:
    """A car all the time, a bus twice, a cat at the end; and a frame that could not be looked at."""
    made = []
    for place in range(20):
        objects = [Detection("car", (20 + place * 5, 40, 90 + place * 5, 100), 0.9)]
        if 4 <= place < 8 or 15 <= place < 17:
            objects.append(Detection("bus", (200, 60, 300, 150), 0.6))
        if place == 19:
            objects.append(Detection("кошка", (10, 120, 60, 180), 0.4))
        made.append(FrameResult(place * 5, place * 0.2, objects))
    made[12] = FrameResult(60, 2.4, [], Failure("undecodable", "No picture."))
    return made


@dataclass(frozen=True)
class Made:
    """What the tests of this file look at."""

    clip: Path
    media: bytes
    ready: str
    shown: ShownVideos


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def made(
    servers: Settings, runner: RunnerStandIn, lone_api: ApiProcess, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Made]:
    """A video that is ready."""
    assert lone_api
    clip = write_clip(tmp_path_factory.mktemp("clip") / "a.mp4", size=(320, 192), frames=100, key_every=25)
    shown = ShownVideos(servers, ListedVideos(servers, runner))
    ready = await shown.add(rows(), FACTS, clip=clip, name="улица 東京.mp4")
    yield Made(clip, await asyncio.to_thread(clip.read_bytes), ready, shown)
    await shown.listed.clear()


async def opened_at(page: Page, frame: int | None) -> None:
    """Wait until the result is read and a frame shown."""
    await page.locator("[data-read]").wait_for()
    await expect(page.locator("canvas.boxes")).to_have_attribute(
        "data-frame", "" if frame is None else str(frame)
    )


async def test_what_is_switched_off_or_not_confident_enough_is_gone_with_the_next_paint(
    open_lone_page: OpenPage, made: Made
) -> None:
    async with open_lone_page(f"#/videos/{made.ready}?t=1") as opened:
        page, moment = opened.page, opened.page.locator(".moment")
        await opened_at(page, 25)
        both = await page.evaluate(DRAWN_ON)
        await page.evaluate(CLICK, "car")
        assert 0 < await page.evaluate(DRAWN_ON) < both
        await expect(moment).to_contain_text("bus \u00d7 1")
        await expect(moment).not_to_contain_text("car")
        await page.evaluate(CLICK, "car")
        assert await page.evaluate(DRAWN_ON) == both
        await page.get_by_label("Least confidence").fill("61")
        await expect(moment).not_to_contain_text("bus")
        await expect(page.get_by_role("listitem").filter(has_text="bus").locator(".count")).to_have_text("0")
        assert 0 < await page.evaluate(DRAWN_ON) < both
        await page.get_by_role("button", name="Show none").click()
        await expect(moment).to_contain_text("nothing")
        assert await page.evaluate(DRAWN_ON) == 0
        await page.get_by_role("button", name="Show only bus").click()
        await page.get_by_label("Least confidence").fill("30")
        await expect(moment).to_have_text("0:01.000 · frame 25bus \u00d7 1")


async def test_the_timeline_leads_to_any_moment_by_mouse_and_keys_and_says_where_one_is(
    open_lone_page: OpenPage, made: Made
) -> None:
    async with open_lone_page(f"#/videos/{made.ready}") as opened:
        page, track = opened.page, opened.page.get_by_role("slider", name="Timeline: position in the video")
        await opened_at(page, 0)
        place = await track.bounding_box()
        assert place
        await track.click(position={"x": place["width"] / 2, "y": 20})
        await opened_at(page, 50)
        await expect(track).to_have_attribute("aria-valuetext", "0:02.00")
        await page.keyboard.press("p")
        await opened_at(page, 45)
        await page.keyboard.press("Home")
        await opened_at(page, 0)
        await page.keyboard.press("End")
        await opened_at(page, 95)
        await page.keyboard.press("ArrowLeft")
        await opened_at(page, 0)
        await page.get_by_text("The same as a table").click()
        await page.get_by_role("button", name="Go to bus at 0:03.00").click()
        await opened_at(page, 75)
        await expect(page).to_have_url(re.compile(r"t=3$"))
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog")).to_contain_text("Play or pause")


async def test_a_frame_that_could_not_be_looked_at_shows_nothing_and_is_told_of(
    open_lone_page: OpenPage, made: Made
) -> None:
    async with open_lone_page(f"#/videos/{made.ready}?t=2.4") as opened:
        await opened_at(opened.page, None)
        await expect(opened.page.locator(".moment")).to_contain_text("not looked at")
        await expect(opened.page.locator(".notes")).to_contain_text("1 frame could not be looked at")


async def test_segments_are_those_of_the_summary(
    open_lone_page: OpenPage, made: Made, lone_api: ApiProcess
) -> None:
    url = f"{lone_api.url}/api/v1/videos/{made.ready}/summary"
    answers: list[httpx.Response] = []

    def is_computed() -> bool:
        answers.append(httpx.get(url, trust_env=False, timeout=30))
        return answers[-1].status_code == httpx.codes.OK

    await asyncio.to_thread(wait_until, is_computed)
    summary = answers[-1].json()
    async with open_lone_page() as opened:
        found = await opened.page.evaluate(SEGMENTS, url)
    wanted = [
        [each["class"], part["start"], part["end"], part["conf"]]
        for each in summary["classes"]
        for part in each["segments"]
    ]
    assert sorted(found) == sorted(wanted)


FORMS = {
    "JSON": "json",
    "JSON Lines": "jsonl",
    "CSV": "csv",
    "Parquet": "parquet",
    "COCO": "coco",
    "YOLO": "yolo",
    "MOT": "mot",
    "WebVTT": "vtt",
}


async def saved_by(page: Page, name: str) -> bytes:
    """What a click on an entry saves."""
    async with page.expect_download() as waiting:
        await page.locator(".files").locator("a, button").filter(has_text=re.compile(f"^{name}$")).click()
    return await asyncio.to_thread(Path(await (await waiting.value).path()).read_bytes)


async def test_the_files_of_every_form_are_what_the_api_gives(
    open_lone_page: OpenPage, made: Made, lone_api: ApiProcess, tmp_path: Path
) -> None:
    url = f"{lone_api.url}/api/v1/videos/{made.ready}/detections"
    async with (
        open_lone_page(f"#/videos/{made.ready}", downloads=tmp_path) as opened,
        httpx.AsyncClient(trust_env=False, timeout=30) as client,
    ):
        await opened.page.locator("[data-read]").wait_for()
        for name, form in FORMS.items():
            saved = await saved_by(opened.page, name)
            query = {"format": form} | ({"limit": "0"} if form == "json" else {})
            assert saved == (await client.get(url, params=query)).content, form
            assert len(saved) > 10, form
        assert await saved_by(opened.page, "Original") == made.media


async def test_a_file_may_hold_only_what_is_chosen(
    open_lone_page: OpenPage, made: Made, tmp_path: Path
) -> None:
    async with open_lone_page(f"#/videos/{made.ready}", downloads=tmp_path) as opened:
        page = opened.page
        await page.locator("[data-read]").wait_for()
        await page.get_by_role("checkbox", name="car").uncheck()
        await page.get_by_label("Least confidence").fill("50")
        await page.get_by_label("Only what is chosen above").check()
        lines = (await saved_by(page, "CSV")).decode().splitlines()
    assert [line.split(",")[2] for line in lines] == ["class", *["bus"] * 6]


async def test_what_the_browser_cannot_play_is_shown_as_the_small_version_once_that_is_made(
    open_lone_page: OpenPage, made: Made, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "a.avi", size=(320, 192), frames=100, codec="mpeg4")
    video = await made.shown.add(rows(), FACTS, clip=clip)
    await made.shown.begin_rendering(video, "preview", 40, 100)
    async with open_lone_page(f"#/videos/{video}?t=1") as opened:
        await expect(opened.page.locator(".veil")).to_contain_text("A small version is being made: 40%")
        await made.shown.finish_rendering(video, "preview", made.clip)
        await opened_at(opened.page, 25)
        await expect(opened.page.locator(".veil")).to_be_hidden()


async def test_why_a_video_failed_is_said_in_the_readers_language_with_what_helps(
    open_lone_page: OpenPage, made: Made
) -> None:
    failed = await made.shown.listed.add("a.mp4", "failed", code="encrypted")
    async with open_lone_page(f"#/videos/{failed}", language="ru-RU", is_dark=True, size=PHONE) as opened:
        page = opened.page
        await expect(page.locator(".reason")).to_contain_text("DRM")
        await expect(page.get_by_text("Загрузите файл без защиты от копирования.")).to_be_visible()
        assert await opened.faults() == []
        await page.get_by_role("button", name="Попробовать снова").click()
        await expect(page.get_by_text("Ждёт своей очереди")).to_be_visible()
        await page.get_by_role("button", name="Отменить").click()
        await expect(page.get_by_role("heading", name="Видео отменено")).to_be_visible()


async def test_a_video_in_work_says_how_far_it_is_until_it_is_ready(
    open_lone_page: OpenPage, made: Made, runner: RunnerStandIn
) -> None:
    told = {"frames_expected": 100, "frames_split": 80, "seconds_decoding": 2.0}
    moving = await made.shown.listed.add("a.mp4", "processing", told={"frames_done": 20, **told})
    async with open_lone_page(f"#/videos/{moving}") as opened:
        await expect(opened.page.get_by_text("20 of 100 frames")).to_be_visible()
        runner.tell(moving, frames_done=60, **told)
        await expect(opened.page.get_by_text("60 of 100 frames")).to_be_visible()
        assert await opened.faults() == []


@pytest.mark.parametrize("is_dark", [False, True])
async def test_no_serious_fault_is_found_in_the_page_of_a_video(
    open_lone_page: OpenPage, made: Made, *, is_dark: bool
) -> None:
    async with open_lone_page(f"#/videos/{made.ready}?t=1", is_dark=is_dark) as opened:
        await opened_at(opened.page, 25)
        await opened.page.get_by_text("The same as a table").click()
        assert await opened.faults() == []


async def test_a_video_without_objects_and_without_its_end_says_both(
    open_lone_page: OpenPage, made: Made
) -> None:
    facts = VideoFacts(320, 192, 25.0, 1.0, 25, 5, truncated=True, truncated_at=1.0)
    nothing = [FrameResult(place * 5, place * 0.2, []) for place in range(5)]
    later = ModelFacts("street.pt", "0c0ffee0", "openvino")
    video = await made.shown.add(nothing, facts, clip=made.clip, other_models=[later])
    async with open_lone_page(f"#/videos/{video}") as opened:
        notes = opened.page.locator(".notes")
        await expect(notes).to_contain_text("Nothing was found: 5 frames were looked at")
        await expect(notes).to_contain_text("The file breaks off: what is shown goes up to 0:01.00")
        await expect(notes).to_contain_text("demo.pt (openvino), street.pt (openvino)")

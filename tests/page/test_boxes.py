"""Boxes lie where the objects are: at whatever moment, speed and size, wherever a file's time begins."""

import bisect
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from app.decoding.picture import Picture
from app.settings import Settings
from tests.page.conftest import OpenPage
from tests.support.browser import PHONE
from tests.support.clips import turn, write_clip
from tests.support.listed_videos import ListedVideos
from tests.support.runner_stand_in import RunnerStandIn
from tests.support.shown_videos import NEAR, Looked, ShownVideos, box_of, look_at

SIZE = (320, 192)

BLUR = 10
"""Pixels of the screenshot by which the edge of the square may seem to lie elsewhere; from frame to frame it
moves by 20."""

UNEVEN = [0, 40, 80, 120, 500, 520, 560, 900, 940, 1000, 1040, 1500, 1510, 1520, 1600, 1700, 1900, 2000]
"""Milliseconds of frames as a camera gives them that has other things to do as well."""

COLOUR = "import('/page/video/colours.js').then(({ looksOf }) => looksOf(['square'])[0].fill)"

EDGES = """(canvas, box) => {
  const [left, top, right, bottom] = box;
  const across = canvas.width / box[4], down = canvas.height / box[5];
  const within = (value, most) => Math.min(most - 1, Math.round(value));
  const at = (x, y) => Array.from(canvas.getContext("2d").getImageData(
    within(x * across, canvas.width), within(y * down, canvas.height), 1, 1).data);
  const middle = [(left + right) / 2, (top + bottom) / 2];
  return { edges: [at(left, middle[1]), at(right, middle[1]), at(middle[0], bottom)], middle: at(...middle) };
}"""

WATCH = """() => {
  const video = document.querySelector("video"), canvas = document.querySelector("canvas.boxes"), seen = [];
  window.seen = new Promise((done) => {
    const see = (_, { mediaTime }) => {
      // Right before it is painted, when everybody has been told of the picture.
      requestAnimationFrame(() => seen.push([mediaTime, canvas.dataset.frame]));
      video.requestVideoFrameCallback(see);
    };
    video.requestVideoFrameCallback(see);
    video.addEventListener("ended", () => done(seen));
  });
}"""

TELL_LATE = """() => {
  const { prototype } = HTMLVideoElement, ask = prototype.requestVideoFrameCallback;
  prototype.requestVideoFrameCallback = function (told) {
    let latest;
    const listen = (...given) => {
      latest = given;
      ask.call(this, listen);
    };
    return ask.call(this, (...given) => {
      listen(...given);
      setTimeout(() => told(...latest), 120);
    });
  };
}"""
"""A browser that has other things to do says of a picture only later that it is to be seen."""

FIRST_LATE = """() => {
  const { prototype } = HTMLVideoElement, ask = prototype.requestVideoFrameCallback;
  prototype.requestVideoFrameCallback = function (told) {
    prototype.requestVideoFrameCallback = ask;
    let latest = null;
    const listen = (...given) => {
      latest = given;
      this.requestVideoFrameCallback(listen);
    };
    this.requestVideoFrameCallback(listen);
    const timer = setInterval(() => {
      if (latest === null) return;
      clearInterval(timer);
      told(...latest);
    }, 600);
  };
}"""
"""The same of the first picture alone: when it is told of, others may have been shown."""

PRESS = """(keys) => {
  for (const key of keys) document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
}"""
"""One after the other, before anything of the first can have been seen."""


def plain(folder: Path) -> Path:
    return write_clip(folder / "plain.mp4", size=SIZE, frames=50, b_frames=2)


def late(folder: Path) -> Path:
    return write_clip(folder / "late.mp4", size=SIZE, times=[500 + each for each in UNEVEN])


def later(folder: Path) -> Path:
    times = range(10_000, 11_000, 40)
    return write_clip(folder / "later.webm", size=SIZE, times=times, codec="libvpx")


def turned(folder: Path) -> Path:
    return turn(write_clip(folder / "turned.mp4", size=SIZE, frames=20), 90)


CLIPS: dict[str, Callable[[Path], Path]] = {
    "timestamps from 0, references ahead": plain,
    "timestamps from 0.5 s, uneven": late,
    "timestamps from 10 s, WebM": later,
    "camera held upright": turned,
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Looked]]:
    """Each clip, and where the square is in the frames that Kadr looks at."""
    folder = tmp_path_factory.mktemp("clips")
    made = {name: make(folder) for name, make in CLIPS.items()}
    return {name: (path, look_at(path, stride=3)) for name, path in made.items()}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ids(
    servers: Settings, runner: RunnerStandIn, clips: dict[str, tuple[Path, Looked]], lone_api: object
) -> AsyncIterator[dict[str, str]]:
    """The videos of these clips."""
    assert lone_api
    listed = ListedVideos(servers, runner)
    shown = ShownVideos(servers, listed)
    yield {
        name: await shown.add(looked.rows, looked.facts, clip=path, stride=3)
        for name, (path, looked) in clips.items()
    }
    await listed.clear()


async def picture_of(page: Page) -> Picture:
    """What somebody sees: the picture with the boxes."""
    png = await page.locator("canvas.boxes").screenshot()
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), np.uint8)


async def edges_of(page: Page, box: tuple[int, ...], looked: Looked) -> dict[str, Any]:
    """Pixels of the canvas on the edges of a box, and in its middle."""
    given = [*box, looked.facts.width, looked.facts.height]
    found: dict[str, Any] = await page.locator("canvas.boxes").evaluate(EDGES, given)
    return found


@pytest.mark.parametrize("name", CLIPS)
async def test_boxes_lie_on_what_they_name_at_every_frame_that_was_looked_at(
    name: str, open_lone_page: OpenPage, clips: dict[str, tuple[Path, Looked]], ids: dict[str, str]
) -> None:
    _, looked = clips[name]
    async with open_lone_page(f"#/videos/{ids[name]}") as opened:
        page = opened.page
        await page.locator("[data-read]").wait_for()
        colour = await page.evaluate(COLOUR)
        wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
        canvas = page.locator("canvas.boxes")
        await expect(canvas).to_have_attribute("data-frame", "0")
        for row in looked.rows[:6]:
            await expect(canvas).to_have_attribute("data-frame", str(row.frame))
            await expect(page.locator(".moment")).to_contain_text("square \u00d7 1")
            box = row.objects[0].box
            found = await edges_of(page, box, looked)
            assert found["middle"][3] == 0
            for edge in found["edges"]:
                assert np.abs(np.subtract(edge[:3], wanted)).max() < NEAR, (row.frame, edge)
            shot = await picture_of(page)
            scale = np.array([shot.shape[1] / looked.facts.width, shot.shape[0] / looked.facts.height] * 2)
            # The line is drawn on the edge, so that half of it covers the square.
            assert box_of(shot) == pytest.approx((np.array(box) * scale).tolist(), abs=BLUR), row.frame
            await page.keyboard.press("n")


@pytest.mark.parametrize("before", ["", FIRST_LATE], ids=["idle", "busy"])
async def test_while_it_plays_at_twice_its_speed_each_picture_has_the_boxes_of_its_own_time(
    before: str, open_lone_page: OpenPage, clips: dict[str, tuple[Path, Looked]], ids: dict[str, str]
) -> None:
    name = "timestamps from 0.5 s, uneven"
    _, looked = clips[name]
    times = [row.time for row in looked.rows if row.time is not None]
    async with open_lone_page() as opened:
        page = opened.page
        if before:
            await page.evaluate(before)
        await page.evaluate("id => { location.hash = `#/videos/${id}`; }", ids[name])
        await page.locator("[data-read]").wait_for()
        await page.get_by_label("Speed").select_option("2")
        await page.evaluate(WATCH)
        await page.keyboard.press("k")
        seen = await page.evaluate("window.seen")
    assert len(seen) >= 5
    for media_time, frame in seen:
        place = bisect.bisect_right(times, media_time - 0.5 + 0.0005) - 1
        assert int(frame) == looked.rows[place].frame, seen


async def test_between_two_frames_the_boxes_are_dim_while_it_stands_and_a_step_leads_from_picture_to_picture(
    open_lone_page: OpenPage, clips: dict[str, tuple[Path, Looked]], ids: dict[str, str]
) -> None:
    name = "timestamps from 10 s, WebM"
    _, looked = clips[name]
    async with open_lone_page(f"#/videos/{ids[name]}") as opened:
        page, moment = opened.page, opened.page.locator(".moment")
        await page.locator("[data-read]").wait_for()
        await expect(moment).to_contain_text("0:00.000 · frame 0")
        opaque = (await edges_of(page, looked.rows[0].objects[0].box, looked))["edges"][0][3]
        for time in (40, 80, 120):
            await page.keyboard.press(".")
            await expect(moment).to_contain_text(f"0:00.{time:03}")
        await expect(moment).to_contain_text("frame 3")
        await page.keyboard.press(",")
        await expect(moment).to_contain_text("boxes of frame 0, 0.08 s before")
        dim = (await edges_of(page, looked.rows[0].objects[0].box, looked))["edges"][0][3]
        assert (opaque, dim < 250) == (255, True)


async def test_on_a_busy_machine_a_step_is_one_picture_and_what_is_pressed_meanwhile_counts(
    open_lone_page: OpenPage, ids: dict[str, str]
) -> None:
    async with open_lone_page(f"#/videos/{ids['timestamps from 10 s, WebM']}") as opened:
        page, moment = opened.page, opened.page.locator(".moment")
        await page.locator("[data-read]").wait_for()
        await expect(moment).to_contain_text("0:00.000 · frame 0")
        await page.evaluate(TELL_LATE)
        for keys, time in ((".", 40), (".", 80), (".", 120), (".,", 80)):
            await page.evaluate(PRESS, list(keys))
            await page.wait_for_timeout(800)
            await expect(moment).to_contain_text(f"0:00.{time:03}")


async def test_a_moment_has_an_address_and_the_boxes_fit_a_phone_that_is_dense(
    open_lone_page: OpenPage, clips: dict[str, tuple[Path, Looked]], ids: dict[str, str]
) -> None:
    name = "timestamps from 0.5 s, uneven"
    row = clips[name][1].rows[4]
    async with open_lone_page(f"#/videos/{ids[name]}?t={row.time}", size=PHONE) as opened:
        page = opened.page
        await page.locator("[data-read]").wait_for()
        await expect(page.locator("canvas.boxes")).to_have_attribute("data-frame", str(row.frame))
        shot = await picture_of(page)
        scale = np.array([shot.shape[1] / SIZE[0], shot.shape[0] / SIZE[1]] * 2)
        assert box_of(shot) == pytest.approx((np.array(row.objects[0].box) * scale).tolist(), abs=BLUR)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")

"""The pictures of docs/images that show one video; `tests.page.screenshots` takes them with the others."""

import asyncio
from pathlib import Path
from typing import Final

import av
from playwright.async_api import Browser, Page

from app.domain.messages import Detection, FrameResult, VideoFacts
from models.shapes import Truth, draw_clip
from tests.support.browser import PHONE, open_page
from tests.support.shown_videos import ShownVideos

SIZE: Final = (960, 540)
SCENES: Final = (11, 3, 8, 21, 5)
"""Seeds; shapes come and go from one to the next."""

SCENE_FRAMES: Final = 150
FPS: Final = 25
STRIDE: Final = 5

QUALITY: Final = 82
"""Of the pictures with a picture in them, as JPEG has it."""

WIDE_VIDEO: Final = (1280, 1180)
"""Player, timeline and filters on one picture, in CSS pixels."""


async def take_video(browser: Browser, url: str, videos: ShownVideos, scratch: Path, folder: Path) -> None:
    """Write the pictures of a drawn clip's page into the folder, and one of a video that failed."""
    clip = scratch / "shapes.mp4"
    truths = await asyncio.to_thread(_write, clip)
    frames = len(truths)
    facts = VideoFacts(*SIZE, float(FPS), frames / FPS, frames, frames // STRIDE)
    shown = await videos.add(_rows(truths), facts, clip=clip, name="shapes.mp4")
    failed = await videos.listed.add("drone-survey-08.mov", "failed", code="encrypted")
    async with open_page(browser, f"{url}/#/videos/{shown}?t=14", size=WIDE_VIDEO) as opened:
        await _is_shown(opened.page)
        await opened.page.screenshot(path=folder / "video.jpg", quality=QUALITY, full_page=True)
        await opened.page.get_by_role("button", name="Show none").click()
        await opened.page.locator('input[name="circle"]').check()
        await opened.page.evaluate("scrollTo(0, 260)")
        await opened.page.screenshot(path=folder / "video-filter.jpg", quality=QUALITY)
    async with open_page(browser, f"{url}/#/videos/{shown}?t=14", size=WIDE_VIDEO, is_dark=True) as opened:
        await _is_shown(opened.page)
        await opened.page.screenshot(path=folder / "video-dark.jpg", quality=QUALITY)
    phone = open_page(browser, f"{url}/#/videos/{shown}?t=14", size=PHONE, language="ru-RU")
    async with phone as opened:
        await _is_shown(opened.page)
        await opened.page.screenshot(path=folder / "video-phone.jpg", quality=QUALITY, full_page=True)
    async with open_page(browser, f"{url}/#/videos/{failed}", size=(1280, 560)) as opened:
        await opened.page.get_by_role("heading", level=1).wait_for()
        await opened.page.screenshot(path=folder / "video-failed.png")


async def _is_shown(page: Page) -> None:
    await page.locator("[data-read]").wait_for()
    await page.locator('canvas.boxes[data-frame="350"]').wait_for()


def _write(clip: Path) -> list[Truth]:
    """Draw the scenes one after the other; return what is in each frame of the clip."""
    truths = []
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for seed in SCENES:
            for picture, truth in draw_clip(seed=seed, frames=SCENE_FRAMES, size=SIZE, objects=None):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
                truths.append(truth)
        container.mux(stream.encode())
    return truths


def _rows(truths: list[Truth]) -> list[FrameResult]:
    """Return what a model that errs nowhere would find; how sure it is follows from how large a shape is."""
    rows = []
    for number in range(0, len(truths), STRIDE):
        found = []
        for shape in truths[number].objects:
            left, top, right, bottom = (round(edge) for edge in shape.box)
            confidence = min(0.98, 0.55 + (right - left) / 400)
            found.append(Detection(shape.name, (left, top, right, bottom), round(confidence, 2)))
        rows.append(FrameResult(number, number / FPS, found))
    return rows

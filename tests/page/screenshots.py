"""The pictures of docs/images: `python -m tests.page.screenshots DIR`."""

import asyncio
import itertools
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from playwright.async_api import Browser, FilePayload

from app.settings import Settings
from tests.page.video_pictures import take_video
from tests.support.api_process import open_api
from tests.support.browser import PHONE, WIDE, open_browser, open_page
from tests.support.listed_videos import ListedVideos
from tests.support.runner_stand_in import open_runner_stand_in
from tests.support.shown_videos import ShownVideos
from tests.support.stack import open_servers

FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
<include>/etc/fonts/fonts.conf</include>
<match><test name="family"><string>sans-serif</string></test>
<edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>
<match><test name="family"><string>system-ui</string></test>
<edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>
</fontconfig>"""
"""Most systems write like this face (Debian's `fonts-inter`); without it the pictures have another."""


async def fill(videos: ListedVideos) -> None:
    """Put some of everything into the list."""
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    done = timedelta(minutes=4, seconds=12)
    await videos.add(
        "gate-north_2026-11-20_evening.mp4", "ready", tags=("gate", "north"), ago=144 * hour, took=done
    )
    await videos.add("drone-survey-07.mov", "failed", tags=("survey",), ago=30 * hour, code="encrypted")
    await videos.add("platform-2_morning.mkv", "ready", tags=("station",), ago=28 * hour, took=97 * minute)
    await videos.add("platform-2_night.mkv", "cancelled", tags=("station",), ago=27 * hour)
    await videos.add("notes-from-the-meeting.mp4", "failed", ago=6 * hour, code="no_video_stream")
    await videos.add("crossroads_0600.mp4", "ready", tags=("street",), ago=5 * hour, took=7 * minute)
    await videos.add("crossroads_0700.mp4", "ready", tags=("street",), ago=5 * hour, took=8 * minute)
    street, harbour = ("street", "rush hour"), ("harbour",)
    await videos.add("crossroads_0800.mp4", "processing", tags=street, ago=6 * minute)
    await videos.add("harbour_cam-3_2026-11-25.mkv", "processing", tags=harbour, ago=3 * minute)
    await videos.add("harbour_cam-4_2026-11-25.mkv", "waiting", tags=harbour, ago=2 * minute)
    await videos.add("harbour_cam-5_2026-11-25.mkv", "queued", tags=harbour)


async def work_on(videos: ListedVideos) -> None:
    """Let those in work go on, as fast as a runner might be."""
    first, second = [each for each in videos.ids if each in videos.runner.progress][:2]
    for done in itertools.count(step=20):
        for video_id, before, total in ((first, 12_904, 18_000), (second, 1_911, 36_000)):
            frames = {
                "frames_done": before + done,
                "frames_split": before + done + 64,
                "frames_expected": total,
            }
            videos.runner.tell(video_id, seconds_decoding=(before + done) / 50, **frames)
        await asyncio.sleep(0.4)


@asynccontextmanager
async def filled(servers: Settings, log: Path) -> AsyncIterator[tuple[str, ListedVideos]]:
    """Yield the address of an API with videos in every state, and those videos."""
    with open_runner_stand_in() as runner, open_api(servers, log, given={"RUNNER_URL": runner.url}) as api:
        videos = ListedVideos(servers, runner)
        await videos.clear()
        await fill(videos)
        working = asyncio.create_task(work_on(videos))
        yield api.url, videos
        working.cancel()
        await videos.clear()


async def take_all(browser: Browser, url: str, folder: Path) -> None:
    """Write each picture into the folder."""
    async with open_page(browser, url) as opened:
        await opened.page.get_by_text("min left").nth(1).wait_for()
        await opened.page.screenshot(path=folder / "list.png", full_page=True)
    async with open_page(browser, f"{url}/#/?tag=street", is_dark=True, size=(1280, 620)) as opened:
        await opened.page.get_by_text("min left").first.wait_for()
        await opened.page.screenshot(path=folder / "list-dark.png")
    async with open_page(browser, url, is_dark=True, language="ru-RU", size=PHONE) as opened:
        await opened.page.get_by_text("осталось").nth(1).wait_for()
        await opened.page.locator(".row").nth(1).scroll_into_view_if_needed()
        await opened.page.evaluate("scrollTo(0, 280)")
        await opened.page.screenshot(path=folder / "list-phone.png")
    async with open_page(browser, f"{url}/#/?status=failed", size=(1280, 520)) as opened:
        await opened.page.get_by_text("DRM").wait_for()
        await opened.page.screenshot(path=folder / "list-failed.png")
    async with open_page(browser, f"{url}/#/?name=xyz", size=(1280, 620)) as opened:
        await opened.page.get_by_role("heading", name="Nothing matches").wait_for()
        await opened.page.screenshot(path=folder / "list-none.png")
    await take_upload(browser, url, folder)


async def take_upload(browser: Browser, url: str, folder: Path) -> None:
    """Write the picture of an upload that is under way, with the options open."""
    async with open_page(browser, url, size=(WIDE[0], 1000)) as opened:
        page = opened.page
        await page.route(
            "**/api/v1/videos",
            lambda route: route.abort() if route.request.method == "POST" else route.continue_(),
        )
        await page.get_by_text("Options", exact=True).click()
        await page.get_by_label("Confidence").fill("0.4")
        await page.get_by_label("Classes").fill("person, car")
        files: list[FilePayload] = [
            {"name": name, "mimeType": "video/mp4", "buffer": bytes(size)}
            for name, size in (
                ("lobby_0900.mp4", 3 << 20),
                ("lobby_1000.mp4", 2 << 20),
                ("lobby_1100.mp4", 4 << 20),
                ("lobby_1200.mp4", 1 << 20),
            )
        ]
        files.append({"name": "thumbs.db", "mimeType": "", "buffer": b"x"})
        await page.locator("#files").set_input_files(files)
        await page.get_by_text("Tries again").first.wait_for()
        await page.screenshot(path=folder / "upload.png")


async def main(folder: Path) -> None:
    """Take the pictures on servers of their own."""
    with open_servers() as stack, tempfile.TemporaryDirectory() as scratch:
        servers = Settings.model_validate({k.lower(): v for k, v in stack.environment().items()})
        fonts = Path(scratch) / "fonts.conf"
        fonts.write_text(FONTS, encoding="utf-8")
        environment = {"FONTCONFIG_FILE": str(fonts)}
        log = Path(scratch) / "log"
        async with filled(servers, log) as (url, videos), open_browser(environment) as browser:
            await take_all(browser, url, folder)
            await take_video(browser, url, ShownVideos(servers, videos), Path(scratch), folder)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target))

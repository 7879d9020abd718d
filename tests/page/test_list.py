"""The live list: what it shows, how it moves, and what can be done from it."""

from datetime import timedelta

import pytest
from playwright.async_api import Locator, Page, expect

from tests.page.conftest import OpenPage
from tests.support.browser import PHONE
from tests.support.listed_videos import ListedVideos
from tests.support.runner_stand_in import RunnerStandIn

FRAMES = {"frames_expected": 100, "frames_split": 40, "seconds_decoding": 2.0}


def row(page: Page, name: str) -> Locator:
    return page.locator(".row").filter(has_text=name)


@pytest.mark.usefixtures("videos")
async def test_an_empty_list_says_what_will_be_there(open_lone_page: OpenPage) -> None:
    async with open_lone_page() as opened:
        await expect(opened.page.get_by_role("heading", name="No videos yet")).to_be_visible()
        assert await opened.faults() == []


async def test_a_video_moves_before_ones_eyes_until_it_is_ready_and_is_told_once(
    open_lone_page: OpenPage, videos: ListedVideos, runner: RunnerStandIn
) -> None:
    moving = await videos.add("street.mp4", "processing", told={"frames_done": 20, **FRAMES})
    await videos.add("gate.mp4", "waiting", told={"queue_position": 3})
    async with open_lone_page() as opened:
        page, bar = opened.page, opened.page.get_by_role("progressbar", name="street.mp4")
        await expect(row(page, "street.mp4")).to_contain_text("20 of 100 frames")
        await expect(row(page, "gate.mp4")).to_contain_text("3 videos before it")
        assert await bar.evaluate("bar => bar.value") == 0.2
        runner.tell(moving, frames_done=60, **FRAMES)
        await expect(row(page, "street.mp4")).to_contain_text("60 of 100 frames")
        await expect(row(page, "street.mp4")).to_contain_text("left")
        await videos.finish(moving)
        await expect(row(page, "street.mp4")).to_contain_text("Ready")
        await expect(bar).to_be_hidden()
        await expect(page.locator("#said")).to_have_text("street.mp4 is ready.")


async def test_what_comes_and_goes_elsewhere_comes_and_goes_here(
    open_lone_page: OpenPage, videos: ListedVideos
) -> None:
    gone = await videos.add("old.mp4", "ready")
    async with open_lone_page() as opened:
        await expect(row(opened.page, "old.mp4")).to_be_visible()
        await videos.add("new.mp4", "queued")
        await videos.delete(gone)
        await expect(row(opened.page, "new.mp4")).to_be_visible()
        await expect(row(opened.page, "old.mp4")).to_have_count(0)


async def test_many_that_come_at_once_all_come(open_lone_page: OpenPage, videos: ListedVideos) -> None:
    await videos.add("first.mp4", "ready", ago=timedelta(hours=1))
    async with open_lone_page() as opened:
        await expect(opened.page.locator(".row")).to_have_count(1)
        await videos.add_many(120)
        await expect(opened.page.locator(".row")).to_have_count(121, timeout=10_000)


async def test_a_video_is_cancelled_tried_again_and_deleted_after_a_question_and_by_keyboard(
    open_lone_page: OpenPage, videos: ListedVideos
) -> None:
    await videos.add("street.mp4", "queued")
    async with open_lone_page() as opened:
        page, here = opened.page, row(opened.page, "street.mp4")
        await page.get_by_role("button", name="Cancel street.mp4").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog")).to_contain_text("Its file stays")
        await page.keyboard.press("Escape")
        await expect(here).to_contain_text("Waiting")
        await page.keyboard.press("Enter")  # the focus is back on the button
        await page.get_by_role("dialog").get_by_role("button", name="Cancel the video").click()
        await expect(here).to_contain_text("Cancelled")
        await page.get_by_role("button", name="Try again: street.mp4").click()
        await expect(here).to_contain_text("attempt 2")
        await page.get_by_role("button", name="Cancel street.mp4").click()
        await page.get_by_role("dialog").get_by_role("button", name="Cancel the video").click()
        await page.get_by_role("button", name="Delete street.mp4").click()
        assert await opened.faults() == []
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(page.get_by_role("heading", name="No videos yet")).to_be_visible()


async def test_the_list_is_filtered_by_status_tag_and_name_and_the_address_remembers(
    open_lone_page: OpenPage, videos: ListedVideos
) -> None:
    await videos.add("street-1.mp4", "ready", tags=("street",))
    await videos.add("street-2.mp4", "failed", tags=("street",), code="encrypted")
    await videos.add("gate.mp4", "failed", code="too_long")
    async with open_lone_page("#/?status=failed") as opened:
        page, rows = opened.page, opened.page.locator(".row")
        await expect(rows).to_have_count(2)
        await row(page, "street-2.mp4").get_by_role("button", name="street", exact=True).click()
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text("DRM")
        assert page.url.endswith("#/?status=failed&tag=street")
        await page.get_by_label("Tag", exact=True).fill("")
        await page.get_by_label("Status").select_option("All")
        await page.get_by_label("Name").fill("GATE")
        await expect(rows).to_have_count(1)
        await expect(page.get_by_text("3 videos looked through.")).to_be_visible()
        await page.get_by_label("Name").fill("nowhere")
        await page.get_by_role("button", name="Clear the filter").click()
        await expect(rows).to_have_count(3)


async def test_more_is_shown_when_asked_for_and_each_video_once(
    open_lone_page: OpenPage, videos: ListedVideos
) -> None:
    await videos.add_many(120)
    async with open_lone_page() as opened:
        page, rows = opened.page, opened.page.locator(".row")
        await expect(rows).to_have_count(50)
        await page.get_by_role("button", name="Show more").click()
        await expect(rows).to_have_count(100)
        await page.get_by_role("button", name="Show more").click()
        await expect(rows).to_have_count(120)
        names = await page.locator(".row-name").all_text_contents()
        assert names == [f"clip-{at:04}.mp4" for at in reversed(range(120))]


async def test_on_a_phone_in_the_dark_in_russian_nothing_is_cut_off_and_axe_finds_no_serious_fault(
    open_lone_page: OpenPage, videos: ListedVideos
) -> None:
    await videos.add("a-name-that-is-very-long-" * 6 + ".mp4", "failed", tags=("street",) * 1)
    await videos.add("street.mp4", "processing", told={"frames_done": 20, **FRAMES})
    await videos.add("gate.mp4", "ready", ago=timedelta(days=400))
    async with open_lone_page(size=PHONE, is_dark=True, language="ru-RU") as opened:
        page = opened.page
        await expect(row(page, "street.mp4")).to_contain_text("20 из 100 кадров")
        await expect(page.get_by_text("Файл не является видео")).to_be_visible()
        await page.get_by_text("Параметры", exact=True).click()
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await opened.faults() == []


async def test_language_and_theme_are_chosen_take_effect_at_once_and_are_remembered(
    open_lone_page: OpenPage, videos: ListedVideos
) -> None:
    await videos.add("street.mp4", "ready")
    async with open_lone_page() as opened:
        page = opened.page
        ground = "getComputedStyle(document.body).backgroundColor"
        light = await page.evaluate(ground)
        await page.get_by_label("Language").select_option("Русский")
        await page.get_by_label("Тема").select_option("dark")
        await expect(row(page, "street.mp4")).to_contain_text("Готово")
        assert await page.evaluate(ground) != light
        await page.reload()
        await expect(page.get_by_role("heading", name="Видео")).to_be_visible()
        assert await page.evaluate(ground) != light
        assert await page.evaluate("document.documentElement.lang") == "ru"
        assert await opened.faults() == []

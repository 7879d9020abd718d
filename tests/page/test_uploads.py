"""Uploads: chosen, dropped, in folders, cancelled, tried again."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Error, FilePayload, Page, Route, expect

from tests.page.conftest import OpenPage
from tests.support.listed_videos import ListedVideos

pytestmark = pytest.mark.usefixtures("videos")

DROPPED = """async () => {
  const file = (name, type) => new File(["not a video"], name, { type });
  const entry = (name, type) => ({ isFile: true, name, file: (tell) => tell(file(name, type)) });
  const folder = (name, batches) => ({
    isDirectory: true, name,
    createReader: () => ({ readEntries: (tell) => tell(batches.shift() ?? []) }),
  });
  const inner = folder("inner", [[entry("b.mkv", "")]]);
  const outer = folder("outer", [[entry("notes.txt", "text/plain"), inner], [entry("a.mp4", "video/mp4")]]);
  const transfer = { types: ["Files"], items: [{ kind: "file", webkitGetAsEntry: () => outer }] };
  const event = new Event("drop", { bubbles: true, cancelable: true });
  Object.defineProperty(event, "dataTransfer", { value: transfer });
  document.querySelector("#drop").dispatchEvent(event);
}"""
"""A folder is dropped, whose entries come in two goes; no script can make the browser's own entries."""


def file(name: str, *, size: int = 2000) -> FilePayload:
    return {"name": name, "mimeType": "video/mp4", "buffer": bytes(size)}


async def choose(page: Page, *files: FilePayload) -> None:
    async with page.expect_file_chooser() as opened:
        await page.get_by_role("button", name="Choose files").click()
    await (await opened.value).set_files(list(files))


async def test_what_is_chosen_is_uploaded_with_its_options_and_stands_in_the_list(
    open_lone_page: OpenPage,
) -> None:
    async with open_lone_page() as opened:
        page = opened.page
        await page.get_by_text("Options", exact=True).click()
        await page.get_by_label("Confidence").fill("0.4")
        await page.get_by_label("Classes").fill("car, person,car")
        await page.locator("#option-tags").fill("street, rush hour")
        await choose(page, file("a.mp4"), file("b.mp4"), file("c.mp4"))
        await expect(page.locator(".row")).to_have_count(3)
        await expect(page.locator(".row").first).to_contain_text("rush hour")
        await expect(page.locator("#queue")).to_be_hidden()
        await expect(page.locator("#said")).to_contain_text("3 videos uploaded.")
        listed = await page.evaluate("fetch('/api/v1/videos').then((answer) => answer.json())")
        options = [(each["options"]["conf"], each["options"]["classes"]) for each in listed["videos"]]
        assert options == [(0.4, ["car", "person"])] * 3


async def test_options_that_do_not_hold_are_named_before_anything_is_sent(open_lone_page: OpenPage) -> None:
    async with open_lone_page() as opened:
        page = opened.page
        await page.get_by_text("Options", exact=True).click()
        await page.get_by_label("From, s").fill("9")
        await page.get_by_label("To, s").fill("3")
        await page.get_by_text("Options", exact=False).first.click()
        await choose(page, file("a.mp4"))
        await expect(page.get_by_label("To, s")).to_be_focused()
        await expect(page.locator(".row")).to_have_count(0)
        assert await opened.faults() == []


async def test_a_folder_is_gone_through_and_what_is_no_video_is_left_out_with_a_word(
    open_lone_page: OpenPage,
) -> None:
    async with open_lone_page() as opened:
        page = opened.page
        await page.evaluate(DROPPED)
        await expect(page.locator("#list")).to_have_attribute("aria-busy", "false")  # the list is read
        await expect(page.locator(".row")).to_have_count(2)
        assert sorted(await page.locator(".row-name").all_text_contents()) == ["a.mp4", "b.mkv"]
        await expect(page.get_by_role("status").filter(has_text="left out")).to_contain_text("notes.txt")
        await page.get_by_role("button", name="Upload anyway").click()
        await expect(page.locator(".row")).to_have_count(3)


async def test_what_is_said_of_dropped_files_stays_when_it_is_only_then_known_who_asks(
    open_lone_page: OpenPage,
) -> None:
    held: asyncio.Queue[Route] = asyncio.Queue()
    async with open_lone_page() as opened:
        page = opened.page
        await page.route("**/api/v1/session", held.put)
        await page.reload()
        answer = await held.get()
        note = page.locator("#upload-note")
        await page.evaluate(DROPPED)
        await expect(note).to_contain_text("notes.txt")
        await answer.continue_()
        await expect(page.locator("#list")).to_have_attribute("aria-busy", "false")  # it is read afterwards
        await expect(note).to_contain_text("notes.txt")


async def test_a_folder_is_chosen_with_all_that_is_in_it(open_lone_page: OpenPage, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("a.mp4", "inner/b.mov", "inner/readme.md"):
        (tmp_path / name).write_bytes(b"not a video")
    async with open_lone_page() as opened:
        page = opened.page
        async with page.expect_file_chooser() as chooser:
            await page.get_by_role("button", name="Choose a folder").click()
        await (await chooser.value).set_files(tmp_path)
        await expect(page.locator(".row")).to_have_count(2)
        await expect(page.locator("#upload-note")).to_contain_text("readme.md")


async def test_two_go_at_a_time_and_what_waits_or_moves_is_cancelled(
    open_lone_page: OpenPage, videos: ListedVideos
) -> None:
    held: list[Route] = []

    async def hold(route: Route) -> None:
        if route.request.method == "POST":
            held.append(route)
        else:
            await route.continue_()

    async with open_lone_page() as opened:
        page = opened.page
        await page.route("**/api/v1/videos*", hold)
        await choose(page, *(file(f"{name}.mp4") for name in "abcd"))
        await expect(page.locator(".upload")).to_have_count(4)
        await expect(page.locator(".upload", has_text="Waiting")).to_have_count(2)
        assert len(held) == 2
        assert await opened.faults() == []
        await page.get_by_role("button", name="Cancel the upload of a.mp4").click()
        await expect(page.locator(".upload", has_text="Waiting")).to_have_count(1)
        await expect(page.locator(".upload", has_text="a.mp4")).to_have_count(0)
        await page.get_by_role("button", name="Cancel all").click()
        await expect(page.locator("#queue")).to_be_hidden()
        await expect(page.locator(".row")).to_have_count(0)
        for route in held:  # or Playwright would wait for its end for ever, in a task of nobody
            with contextlib.suppress(Error):
                await route.abort()
    assert videos.ids == []


async def test_an_upload_whose_answer_is_lost_is_sent_again_with_its_key_and_makes_one_video(
    open_lone_page: OpenPage,
) -> None:
    keys: list[str | None] = []

    async def lose_first(route: Route) -> None:
        if route.request.method != "POST":
            await route.continue_()
            return
        keys.append(await route.request.header_value("idempotency-key"))
        if len(keys) == 1:
            await route.fetch()  # it has arrived, and nobody hears of it
            await route.abort()
        else:
            await route.continue_()

    async with open_lone_page() as opened:
        page = opened.page
        await page.route("**/api/v1/videos*", lose_first)
        await choose(page, file("a.mp4"))
        await expect(page.locator(".upload")).to_contain_text("Tries again in")
        await expect(page.locator(".row")).to_have_count(1)
        await expect(page.locator("#queue")).to_be_hidden()
        listed: dict[str, Any] = await page.evaluate("fetch('/api/v1/videos').then((a) => a.json())")
        assert len(listed["videos"]) == 1
    assert len(keys) == 2
    assert len(set(keys)) == 1


async def test_an_upload_that_is_refused_says_why_and_is_tried_again_when_asked(
    open_lone_page: OpenPage,
) -> None:
    answers = [{"code": "too_large", "detail": "The file has too many bytes.", "status": 413}]

    async def refuse_once(route: Route) -> None:
        if route.request.method == "POST" and answers:
            await route.fulfill(status=413, json=answers.pop(), content_type="application/problem+json")
        else:
            await route.continue_()

    async with open_lone_page() as opened:
        page = opened.page
        await page.route("**/api/v1/videos*", refuse_once)
        await choose(page, file("a.mp4"))
        await expect(page.locator(".upload")).to_contain_text("larger than Kadr accepts")
        await expect(page.locator("#said")).to_contain_text("a.mp4 could not be uploaded")
        await page.get_by_role("button", name="Retry the upload of a.mp4").click()
        await expect(page.locator(".row")).to_have_count(1)

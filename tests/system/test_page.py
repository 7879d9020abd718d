"""The page on the whole of Kadr: a video goes in, moves before one's eyes, and comes out."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from models.shapes import repeat_clip, write_clip
from tests.support.browser import CHROMIUM, WHY_SKIPPED, open_browser, open_page
from tests.support.pipeline import Pipeline

pytestmark = [
    pytest.mark.servers,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason=WHY_SKIPPED),
]

DONE_MS = 90_000.0

WATCHED = """(bar) => new Promise((resolve) => {
  const seen = [];
  const look = () => {
    if (bar.position > 0 && bar.position !== seen.at(-1)) seen.push(bar.position);
    if (bar.hidden && seen.length) resolve(seen);
    else setTimeout(look, 20);
  };
  look();
})"""
"""Resolves with where a bar was, when it is gone."""


async def test_what_goes_in_moves_until_it_is_ready_and_a_file_that_is_no_video_says_so(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    once, clip, wrong = (tmp_path / name for name in ("once.mp4", "moving.mp4", "letter.mp4"))
    write_clip(once, seed=7)
    repeat_clip(once, clip, 12)
    wrong.write_bytes(b"Dear Kadr")
    async with open_browser() as browser, open_page(browser, pipeline.settings.api_url) as opened:
        page = opened.page
        await page.get_by_text("Options", exact=True).click()
        await page.get_by_label("Every n-th frame").fill("2")
        await page.locator("#files").set_input_files([clip, wrong])
        moving = page.locator(".row", has_text="moving.mp4")
        await expect(moving).to_contain_text("of 600 frames", timeout=DONE_MS)
        positions = await moving.locator("progress").evaluate(WATCHED)
        assert positions == sorted(positions)
        assert any(0 < each < 1 for each in positions), "it was seen on its way"
        await expect(moving).to_contain_text("Ready", timeout=DONE_MS)
        await expect(page.locator(".row", has_text="letter.mp4")).to_contain_text(
            "not a video in a format that Kadr reads", timeout=DONE_MS
        )
        await moving.get_by_role("link", name="moving.mp4").click()
        await expect(page.locator("#video-view")).to_be_visible()

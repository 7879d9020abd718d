"""The page of a video on the whole of Kadr: what the model has found lies where it is."""

from pathlib import Path

import av
import pytest
from playwright.async_api import expect

from models.shapes import write_clip
from tests.support.browser import CHROMIUM, WHY_SKIPPED, open_browser, open_page
from tests.support.clips import remux
from tests.support.pipeline import Pipeline

pytestmark = [
    pytest.mark.servers,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason=WHY_SKIPPED),
]

DONE_MS = 90_000.0

DRAWN = """(canvas, objects) => {
  const pixels = canvas.getContext("2d");
  const across = canvas.width / 512, down = canvas.height / 288, near = 6;
  const isDrawn = (x, y) => {
    const { data } = pixels.getImageData(x * across - near, y * down - near, 2 * near + 1, 2 * near + 1);
    return data.some((value, at) => at % 4 === 3 && value > 128);
  };
  return objects.map(([left, top, right, bottom]) => [
    isDrawn(left, (top + bottom) / 2), isDrawn(right, (top + bottom) / 2),
    isDrawn((left + right) / 2, bottom), !isDrawn((left + right) / 2, (top + bottom) / 2),
  ]);
}"""
"""For each box of the clip: whether its left, right and lower edge are drawn, and its middle is not."""


async def test_boxes_lie_on_the_shapes_of_a_file_that_no_browser_plays_and_can_be_chosen_and_saved(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    truths = write_clip(tmp_path / "shapes.mp4", seed=11, frames=60, objects=3)
    clip = remux(tmp_path / "shapes.mp4", tmp_path / "shapes.ts")  # its timestamps begin at 1.4 s
    url = f"{pipeline.settings.api_url}/#/videos/{pipeline.submit(clip)}?t=1"
    async with open_browser() as browser, open_page(browser, url, downloads=tmp_path) as opened:
        page, canvas = opened.page, opened.page.locator("canvas.boxes")
        await page.locator("[data-read]").wait_for(timeout=DONE_MS)
        await expect(canvas).to_have_attribute("data-frame", "25", timeout=DONE_MS)
        for frame in (25, 30, 35):
            await expect(canvas).to_have_attribute("data-frame", str(frame))
            drawn = await canvas.evaluate(DRAWN, [each.box for each in truths[frame].objects])
            assert drawn == [[True] * 4] * len(truths[frame].objects)
            await page.keyboard.press("n")
        await page.get_by_role("button", name="Show none").click()
        await expect(page.locator(".moment")).to_contain_text("nothing")
        assert await opened.faults() == []
        async with page.expect_download(timeout=DONE_MS) as waiting:
            await page.get_by_role("button", name="With boxes").click()
        with av.open(str(await (await waiting.value).path())) as saved:
            assert sum(1 for _ in saved.decode(video=0)) == 60

"""Where a key is needed the page asks for it, and keeps it nowhere."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, FilePayload, expect

from api.access.session_cookies import NAME
from app.clients.main_db.api_keys import ApiKeys, open_api_keys
from app.domain.api_keys import Quotas, Scope
from app.settings import Settings
from tests.support.api_process import ApiProcess, open_api
from tests.support.browser import open_page

VIDEO: FilePayload = {"name": "mine.mp4", "mimeType": "video/mp4", "buffer": b"not a video"}


@pytest.fixture(scope="module")
def closed_api(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    """An API that wants a key from everybody."""
    log = tmp_path_factory.mktemp("closed") / "log"
    with open_api(servers, log, given={"API_KEYS": "required"}) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def keys(servers: Settings) -> AsyncIterator[ApiKeys]:
    async with open_api_keys(servers) as opened:
        yield opened


async def new_key(keys: ApiKeys, *scopes: Scope) -> str:
    _, text = await keys.create("camera 7", scopes, Quotas())
    return text


async def test_a_key_is_asked_for_exchanged_and_kept_out_of_reach_of_scripts(
    browser: Browser, closed_api: ApiProcess, keys: ApiKeys
) -> None:
    async with open_page(browser, closed_api.url) as opened:
        page, dialog = opened.page, opened.page.get_by_role("dialog")
        await expect(page.get_by_label("Key", exact=True)).to_be_focused()
        assert await opened.faults() == []
        await page.keyboard.type("kadr_wrong")
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_role("alert")).to_contain_text("no such key, or it was revoked")
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_visible()
        key = await new_key(keys, "submit", "read", "delete")
        await page.get_by_label("Key", exact=True).fill(key)
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Signed in as camera 7")).to_be_visible()
        await expect(page.get_by_role("heading", name="No videos yet")).to_be_visible()
        kept = await page.evaluate("document.cookie + JSON.stringify(localStorage) + location.href")
        assert "kadr_" not in kept
        await page.locator("#files").set_input_files(VIDEO)
        await expect(page.locator(".row")).to_contain_text("mine.mp4")
        await page.reload()
        await expect(page.locator(".row")).to_contain_text("mine.mp4")
        await page.get_by_role("button", name="Sign out").click()
        await expect(dialog).to_be_visible()


async def test_a_key_that_may_only_read_sees_no_way_to_upload_or_delete_and_asks_again_when_revoked(
    browser: Browser, closed_api: ApiProcess, keys: ApiKeys
) -> None:
    async with open_page(browser, closed_api.url) as opened:
        page = opened.page
        key = await new_key(keys, "read")
        await page.get_by_label("Key", exact=True).fill(key)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_text("This key may not upload.")).to_be_visible()
        await expect(page.get_by_role("button", name="Choose files")).to_be_hidden()
        assert await opened.faults() == []
        await keys.revoke(key.split("_")[1])
        await expect(page.get_by_role("dialog")).to_be_visible(timeout=15_000)


async def test_a_page_of_another_origin_does_nothing_with_a_session(
    browser: Browser, closed_api: ApiProcess, keys: ApiKeys
) -> None:
    async with open_page(browser, closed_api.url) as opened:
        page = opened.page
        await page.get_by_label("Key", exact=True).fill(await new_key(keys, "submit", "read", "delete"))
        await page.get_by_role("button", name="Sign in").click()
        await page.locator("#files").set_input_files(VIDEO)
        await expect(page.locator(".row")).to_contain_text("mine.mp4")
        video_id = await page.locator(".row").get_attribute("data-id")
        foreign = await page.context.new_page()
        await foreign.route("http://127.0.0.1:9/", lambda route: route.fulfill(body="<p>a page of others"))
        await foreign.goto("http://127.0.0.1:9/")  # the same site, so that the cookie goes along
        action = f"{closed_api.url}/api/v1/videos/{video_id}/cancel"
        async with foreign.expect_response(action) as answered:
            await foreign.evaluate(
                "(action) => Object.assign(document.body.appendChild(document.createElement('form')),"
                " {method: 'post', action}).submit()",
                action,
            )
        answer = await answered.value
        assert NAME in (await answer.request.all_headers())["cookie"]
        assert (answer.status, (await answer.json())["code"]) == (403, "cross_site")
        await expect(page.locator(".row")).to_contain_text("Waiting")

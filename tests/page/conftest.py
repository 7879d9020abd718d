"""A browser, an API on real servers, and videos in every state.

Everything here and in the tests of this folder runs on one event loop, which the browser is bound to.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from app.settings import Settings
from tests.support.api_process import ApiProcess, open_api
from tests.support.browser import CHROMIUM, WHY_SKIPPED, Opened, open_browser, open_page
from tests.support.listed_videos import ListedVideos
from tests.support.runner_stand_in import RunnerStandIn, open_runner_stand_in


class OpenPage(Protocol):
    """Opens Kadr's page; see `tests.support.browser.open_page`."""

    def __call__(
        self,
        at: str = "",
        *,
        size: tuple[int, int] = ...,
        language: str = ...,
        is_dark: bool = ...,
        is_calm: bool = ...,
        downloads: Path | None = ...,
    ) -> AbstractAsyncContextManager[Opened]:
        """Open it at an address such as `#/videos/ID`."""
        ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of this folder on the loop of the browser, or skip them where there is none."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason=WHY_SKIPPED))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for all tests."""
    async with open_browser() as opened:
        yield opened


@pytest.fixture(scope="session")
def runner() -> Iterator[RunnerStandIn]:
    """What the API asks how far videos are."""
    with open_runner_stand_in() as opened:
        yield opened


@pytest.fixture(scope="session")
def lone_api(
    servers: Settings, runner: RunnerStandIn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiProcess]:
    """The API on real servers; nobody takes up what it is asked for."""
    log = tmp_path_factory.mktemp("page") / "log"
    with open_api(servers, log, given={"RUNNER_URL": runner.url}) as opened:
        yield opened


@pytest.fixture(scope="session")
def open_lone_page(browser: Browser, lone_api: ApiProcess) -> OpenPage:
    """Opens the page of that API."""

    def open_(at: str = "", **how: object) -> AbstractAsyncContextManager[Opened]:
        return open_page(browser, f"{lone_api.url}/{at}", **how)  # type: ignore[arg-type] # as OpenPage has it

    return open_


@pytest_asyncio.fixture(loop_scope="session")
async def videos(servers: Settings, runner: RunnerStandIn) -> AsyncIterator[ListedVideos]:
    """An empty list, to be filled."""
    listed = ListedVideos(servers, runner)
    await listed.clear()
    yield listed
    await listed.clear()

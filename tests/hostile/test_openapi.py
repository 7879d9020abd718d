"""Requests made from the OpenAPI document: whatever is sent, the API answers as it says that it does."""

import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from app.clients.main_db.api_keys import open_api_keys
from app.domain.api_keys import SCOPES, Quotas
from app.settings import Settings
from tests.support.api_process import ApiProcess, open_api

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

EXAMPLES: Final = 25
"""Generated requests for each call, beside those that cover each rule of the document."""


ANSWERED_WITHIN: Final = 5
"""Seconds for each answer on a busy machine."""


@pytest.fixture(scope="module")
def api(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    log = tmp_path_factory.mktemp("api") / "log"
    with open_api(servers, log, given={"API_KEYS": "required"}) as found:
        yield found


@pytest.fixture
async def key(servers: Settings) -> str:
    """A key that may do everything."""
    async with open_api_keys(servers) as keys:
        _, text = await keys.create("schemathesis", SCOPES, Quotas())
    return text


def test_no_generated_request_finds_a_5xx_an_undocumented_status_or_another_body(
    api: ApiProcess, key: str, tmp_path: Path
) -> None:
    program = Path(sysconfig.get_path("scripts")) / "schemathesis"
    command = [
        str(program),
        "--no-color",
        "run",
        f"{api.url}/openapi.json",
        *("--header", f"Authorization: Bearer {key}"),
        *("--max-examples", str(EXAMPLES)),
        *("--seed", "1"),
        *("--generation-database", "none"),
        "--continue-on-failure",
        *("--max-response-time", str(ANSWERED_WITHIN)),
        # These ask a runner, which is not here: tests/system/test_renderings.py.
        *("--exclude-path-regex", r"/frames/|/(annotated|preview)\.mp4$"),
        # Buckets are the operator's and cursors come from answers: the document cannot say which are taken.
        # An empty list of buckets in a form, which the document forbids, is a form without one.
        *("--exclude-checks", "positive_data_acceptance,negative_data_rejection"),
    ]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=480)
    assert ended.returncode == 0, ended.stdout + ended.stderr

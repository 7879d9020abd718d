"""Submissions that mean harm, as in `test_uploads`: what is new in `POST /api/v1/videos`."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from app.settings import Settings
from tests.support.api_process import ApiProcess, open_api
from tests.support.attacks import under
from tests.support.raw_upload import HEAD, TAIL, begun_upload, reset, submission

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

LIMIT: Final = 32 << 20
SETTINGS: Final[dict[str, Any]] = {"MAX_UPLOAD_BYTES": LIMIT, "UPLOAD_IDLE": 3}
FORM: Final = {"Content-Type": "multipart/form-data; boundary=bb"}


@pytest.fixture(scope="module")
def api(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with open_api(servers, tmp_path_factory.mktemp("api") / "log", given=SETTINGS) as found:
        yield found


def submit(api: ApiProcess, body: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
    more = {"Content-Type": "video/mp4"} | headers
    return httpx.post(f"{api.url}/api/v1/videos", content=body, headers=more, timeout=60, trust_env=False)


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 202), (LIMIT + 1, 413), (4 * LIMIT, 413)])
def test_without_a_length_the_limit_holds_for_a_body_that_is_a_video(
    api: ApiProcess, size: int, status: int
) -> None:
    def attack() -> None:
        pieces = (bytes(min(1 << 20, size - start)) for start in range(0, size, 1 << 20))
        assert submit(api, pieces).status_code == status

    under(api, attack, plus=int(status == 202))


def test_another_body_with_a_used_key_leaves_nothing_and_costs_others_little(api: ApiProcess) -> None:
    def attack() -> int:
        key = str(uuid4())
        first = submit(api, bytes(9 << 20), **{"Idempotency-Key": key})
        assert first.status_code == 202

        def again(body: bytes) -> httpx.Response:
            return submit(api, body, **{"Idempotency-Key": key})

        same, other = bytes(9 << 20), bytes(9 << 20)[:-1] + b"x"
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(again, [same, other] * 4))
        assert [answer.status_code for answer in answers] == [202, 409] * 4
        assert {answer.json()["id"] for answer in answers[::2]} == {first.json()["id"]}
        return 1

    under(api, attack)


def test_a_key_whose_upload_was_cut_is_free_at_once(api: ApiProcess) -> None:
    def attack() -> int:
        key = str(uuid4())
        line = f"Idempotency-Key: {key}"
        with begun_upload(
            api.url, 9 << 20, sent=5 << 20, head_of=lambda size: submission(size, line)
        ) as connection:
            assert submit(api, b"x", **{"Idempotency-Key": key}).json()["code"] == "idempotency_in_progress"
            reset(connection)
        deadline = time.monotonic() + 10  # less than the lease
        while (answer := submit(api, b"x", **{"Idempotency-Key": key})).status_code == 409:
            assert time.monotonic() < deadline
        assert answer.status_code == 202
        return 1

    under(api, attack)


def test_fields_around_a_file_have_an_end(api: ApiProcess) -> None:
    field = b'--bb\r\nContent-Disposition: form-data; name="tags"\r\n\r\n%s\r\n'
    many, long = b"".join(field % b"%d" % number for number in range(10_000)), field % bytes(1 << 20)
    file = HEAD + b"x\r\n"

    def attack() -> None:
        for fields in (many, long):
            for body in (fields + HEAD + b"x" + TAIL, file + fields + b"--bb--\r\n"):
                answer = submit(api, body, **FORM)
                assert answer.status_code in {413, 422}

    under(api, attack)

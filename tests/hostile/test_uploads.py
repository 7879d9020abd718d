"""Uploads that mean harm, on the API's own process with real S3 and Mongo: it stays quick, nothing is left.

Each attack is made while somebody else asks for the API's health every 10 ms. On a machine that does other
things as well one attack in many is slow for no fault of ours, so each has three tries: one of them has
to be quick.
"""

import contextlib
import http.client
import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
import pytest

from app.settings import Settings
from tests.support.api_process import ApiProcess, kept, open_api
from tests.support.attacks import under
from tests.support.raw_upload import HEAD, TAIL, answer_of, begun_upload, request, reset, submission

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

LIMIT: Final = 32 << 20
PLACES: Final = 16
IDLE: Final = 3
FILES: Final = 600
"""Files that the API may have open; half of them are for connections."""

SETTINGS: Final[dict[str, Any]] = {"MAX_UPLOAD_BYTES": LIMIT, "MAX_UPLOADS": PLACES, "UPLOAD_IDLE": IDLE}
"""Less than the defaults, so that a test sees the limits."""

TYPE: Final = {"content-type": "multipart/form-data; boundary=bb"}
CHUNKED: Final = (
    b"POST /api/upload_video HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: multipart/form-data; boundary=bb\r\nTransfer-Encoding: chunked\r\n\r\n"
)

ASKED: Final = b"POST /api/request HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def api(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with open_api(servers, tmp_path_factory.mktemp("api") / "log", open_files=FILES, given=SETTINGS) as found:
        yield found


def post(api: ApiProcess, body: bytes, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{api.url}/api/upload_video", content=body, headers=TYPE | headers, timeout=60, trust_env=False
    )


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@contextlib.contextmanager
def connected(api: ApiProcess, data: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", api.port), timeout=60) as connection:
        connection.sendall(data)
        yield connection


def send_until_refused(connection: socket.socket, data: bytes, times: int) -> int:
    """Send again and again; answer how many bytes were taken before the other side hung up."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        for _ in range(times):
            connection.sendall(data)
            sent += len(data)
    return sent


def is_closed_within(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


@pytest.mark.parametrize("size", [100_000, 5 << 20, 30 << 20])
@pytest.mark.parametrize("hang_up", [reset, socket.socket.close])
@pytest.mark.parametrize("head_of", [request, submission])
def test_an_upload_that_is_cut_at_half_leaves_nothing(
    api: ApiProcess,
    size: int,
    head_of: Callable[[int], bytes],
    hang_up: Callable[[socket.socket], None],
) -> None:
    def cut(_: int) -> None:
        with begun_upload(api.url, size, sent=size // 2, head_of=head_of) as connection:
            hang_up(connection)

    def attack() -> None:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(cut, range(8)))

    under(api, attack)


def test_a_byte_a_second_from_fifty_clients_holds_no_place_for_long(api: ApiProcess) -> None:
    def attack() -> None:
        with contextlib.ExitStack() as opened:
            clients = [opened.enter_context(connected(api, CHUNKED + chunk(HEAD))) for _ in range(50)]
            begun = time.monotonic()
            statuses: dict[socket.socket, int] = {}
            while len(statuses) < len(clients) and time.monotonic() - begun < 10 * IDLE:
                for each in clients:
                    if each not in statuses:
                        statuses |= _byte_or_answer(each)
                time.sleep(0.02)
            assert sorted(statuses.values()) == [408] * PLACES + [503] * (50 - PLACES)
            assert time.monotonic() - begun < 4 * IDLE
        assert post(api, HEAD + b"x" + TAIL).status_code == 200

    under(api, attack, plus=1)


def _byte_or_answer(client: socket.socket) -> dict[socket.socket, int]:
    """Send one byte each second; the status once there is an answer."""
    client.settimeout(1 / 50)
    try:
        client.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        with contextlib.suppress(ConnectionError):
            client.sendall(chunk(b"x"))
        return {}
    client.settimeout(10)
    answer = answer_of(client)
    assert answer.status_code != 503 or int(answer.headers["retry-after"]) > 0
    return {client: answer.status_code}


def test_a_slow_line_that_means_it_gets_its_upload_done(api: ApiProcess) -> None:
    with connected(api, CHUNKED + chunk(HEAD)) as connection:
        for _ in range(32):  # 4 KiB a second for 8 s, more than twice as long as may pass without a byte
            connection.sendall(chunk(bytes(1024)))
            time.sleep(0.25)
        connection.sendall(chunk(TAIL) + chunk(b""))
        assert answer_of(connection).status_code == 200


@pytest.mark.parametrize(
    ("size", "status"), [(1 << 20, 200), (LIMIT, 200), (LIMIT + 1, 413), (4 * LIMIT, 413)]
)
def test_without_a_length_the_limit_holds(api: ApiProcess, size: int, status: int) -> None:
    def pieces() -> Iterator[bytes]:
        yield HEAD
        for start in range(0, size, 1 << 20):
            yield bytes(min(1 << 20, size - start))
        yield TAIL

    def attack() -> None:
        answer = httpx.post(
            f"{api.url}/api/upload_video", content=pieces(), headers=TYPE, timeout=60, trust_env=False
        )
        assert answer.status_code == status

    under(api, attack, plus=int(status == 200))


def test_more_than_was_declared_is_not_read(api: ApiProcess) -> None:
    """Declared: as much as is allowed; sent: ten times as much."""

    def attack() -> None:
        with begun_upload(api.url, LIMIT, sent=LIMIT) as connection:
            send_until_refused(connection, b"\xee" * (1 << 20), 10 * LIMIT >> 20)
            assert is_closed_within(connection, 10)

    under(api, attack)


def test_more_than_is_allowed_is_refused_by_its_header_and_then_not_read_for_ever(api: ApiProcess) -> None:
    def attack() -> None:
        with begun_upload(api.url, 1 << 40, sent=1000) as connection:
            assert answer_of(connection).status_code == 413
            begun = time.monotonic()
            while time.monotonic() - begun < 20 and send_until_refused(connection, b"x", 1):
                time.sleep(0.5)
            assert time.monotonic() - begun < 15

    under(api, attack)


def test_less_than_is_sent_may_not_be_declared(api: ApiProcess) -> None:
    def attack() -> None:
        head = CHUNKED.replace(b"Transfer-Encoding: chunked", b"Content-Length: 50000")
        with connected(api, head + HEAD + bytes(100_000) + TAIL) as connection:
            assert answer_of(connection).status_code == 422

    under(api, attack)


def test_ten_thousand_parts_are_refused(api: ApiProcess) -> None:
    part = b'--bb\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n'
    file = b'--bb\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\ny\r\n'

    def attack() -> None:
        end = b"--bb--\r\n"
        for body in (part * 10_000 + file + end, file + part * 10_000 + end, file * 10_000):
            answer = post(api, body)
            assert answer.status_code == 422
            assert answer.json()["code"] == "invalid"

    under(api, attack)


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        "..\\..\\windows\\system.ini",
        "a\x00.mp4",
        "\u202e4pm.exe",
        "x" * 4000,
        "ю" * 2000,
        "a%0d%0aSet-Cookie: x=y.mp4",
        "$(touch x)`touch y`;|&.mp4",
        "",
    ],
)
def test_no_name_names_an_object(api: ApiProcess, name: str) -> None:
    head = f'--bb\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()

    def attack() -> None:
        before = kept(api.servers)
        answer = post(api, head + b"video" + TAIL)
        assert answer.status_code == 200
        added = kept(api.servers).objects - before.objects
        assert added == {f"videos/input/{answer.json()['event_id']}.mp4"}

    under(api, attack, plus=1)


@pytest.mark.parametrize("name", [b"x" * 5000, b"a\r\nX-Evil: y\r\n\r\nz", b"a\nb", b"\xff\xfe\x00"])
def test_a_name_that_is_none_is_refused_or_kept_harmless(api: ApiProcess, name: bytes) -> None:
    body = b'--bb\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\nvideo' % name + TAIL
    assert post(api, body).status_code in {200, 422}


def test_a_boundary_of_a_megabyte_is_refused(api: ApiProcess) -> None:
    def attack() -> None:
        for size in (1 << 20, 15_000, 300):
            head = CHUNKED.replace(b"boundary=bb", b"boundary=" + b"b" * size)
            with connected(api) as connection:
                send_until_refused(connection, head, 1)
                assert answer_of(connection).status_code in {400, 422, 431}

    under(api, attack)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
        b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * (1 << 20) + b"\r\n\r\n",
        b"GET /" + b"y" * (1 << 20) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n" + b"a:\r\n" * 3000 + b"\r\n",
        b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nX" + b"y" * (1 << 20),
        b"\r\n" * 100_000,
        b"\x16\x03\x01\x02\x00" * 10_000,
        b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\n\r\n",
    ],
)
def test_a_head_that_is_a_bomb_is_refused(api: ApiProcess, head: bytes) -> None:
    def bomb(_: int) -> None:
        with connected(api) as connection:
            send_until_refused(connection, head, 1)
            with contextlib.suppress(ConnectionError, http.client.HTTPException):
                answer = answer_of(connection)
                assert answer.status_code in {400, 408, 431}
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.headers["x-content-type-options"] == "nosniff"

    def attack() -> None:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(bomb, range(20)))

    under(api, attack)


def test_heads_that_do_not_end_are_given_up(api: ApiProcess) -> None:
    def attack() -> None:
        with contextlib.ExitStack() as opened:
            begun_head = b"GET /api/health HTTP/1.1\r\nX: "
            clients = [opened.enter_context(connected(api, begun_head)) for _ in range(100)]
            clients += [opened.enter_context(connected(api)) for _ in range(100)]
            begun = time.monotonic()
            while clients and time.monotonic() - begun < 20:
                clients = [each for each in clients if send_until_refused(each, b"y", 1)]
                time.sleep(0.5)
            assert not clients
            assert time.monotonic() - begun > 5, "somebody who is only slow has some time"

    under(api, attack)


def test_more_connections_than_there_are_places_for_close_the_idlest(api: ApiProcess) -> None:
    def attack() -> None:
        with contextlib.ExitStack() as opened:
            clients = [opened.enter_context(connected(api)) for _ in range(FILES // 2 + 100)]
            assert post(api, HEAD + b"x" + TAIL).status_code == 200
            closed = [is_closed_within(each, 0.01) for each in clients]
            assert 100 <= closed.count(True) <= 110
            assert not closed[-1]

    under(api, attack, plus=1)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff" * 50_000,
        b"GET",
        b"GET /api/health HTTP/1.1\r\nHost: evil.example\r\n\r\n" * 200,
        ASKED + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        ASKED + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        ASKED + b"Content-Length: -5\r\n\r\n",
        ASKED + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_garbage_behind_a_request_does_no_harm(api: ApiProcess, garbage: bytes) -> None:
    body = HEAD + bytes(200_000) + TAIL
    upload = CHUNKED.replace(b"Transfer-Encoding: chunked", b"Content-Length: %d" % len(body)) + body

    def attack() -> None:
        for first in (b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n", upload):
            with connected(api) as connection:
                send_until_refused(connection, first + garbage, 1)
                assert answer_of(connection).status_code == 200

    under(api, attack, plus=1)


@pytest.mark.parametrize("head_of", [request, submission])
@pytest.mark.parametrize("first", [0, 1, 30_000, 300_000, 700_000])
def test_a_body_arrives_as_it_was_sent_and_what_is_behind_it_is_a_request(
    api: ApiProcess, first: int, head_of: Callable[[int], bytes]
) -> None:
    """Of a body whose length was announced nothing is looked into, however much of it comes at once."""
    video = random.Random(first).randbytes(900_001)  # noqa: S311  # any bytes
    data = head_of(len(video)) + video + (TAIL if head_of is request else b"")
    behind = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with connected(api) as connection:
        connection.sendall(data[:first])
        time.sleep(0.1)
        connection.sendall(data[first:] + behind)
        answers = b"".join(iter(lambda: connection.recv(65536), b""))
    _, accepted, health = answers.split(b"HTTP/1.1 ")
    assert accepted[:3] in {b"200", b"202"}
    assert health[:3] == b"200"
    told = json.loads(accepted.partition(b"\r\n\r\n")[2])
    video_id = told["id" if head_of is submission else "event_id"]
    kept_video = httpx.get(f"{api.url}/api/v1/videos/{video_id}/media", trust_env=False)
    assert kept_video.content == video


@pytest.mark.parametrize(
    "broken",
    [
        b"zz\r\n",
        b"-5\r\nhello\r\n",
        b"5\r\nhelloworld",
        b"ffffffffffffffffffffffff\r\n",
        b"5;" + b"x" * 100_000,
    ],
)
def test_a_broken_chunk_ends_an_upload(api: ApiProcess, broken: bytes) -> None:
    def attack() -> None:
        for size in (1000, 9 << 20):
            with connected(api, CHUNKED + chunk(HEAD + bytes(size))) as connection:
                send_until_refused(connection, broken, 1)
                with contextlib.suppress(ConnectionError, http.client.HTTPException):
                    assert answer_of(connection).status_code in {400, 408, 431}

    under(api, attack)


@pytest.mark.parametrize("clients", [1, PLACES])
def test_chunks_of_one_byte_cost_others_little(api: ApiProcess, clients: int) -> None:
    def upload(_: int) -> int:
        with connected(api, CHUNKED + chunk(HEAD)) as connection:
            send_until_refused(connection, chunk(b"x") * ((1 << 15) // clients), 1)
            connection.sendall(chunk(TAIL) + chunk(b""))
            return answer_of(connection).status_code

    def attack() -> int:
        with ThreadPoolExecutor(clients) as threads:
            statuses = list(threads.map(upload, range(clients)))
        assert set(statuses) <= ({200} if clients == 1 else {200, 408})
        return statuses.count(200)

    under(api, attack)


@pytest.mark.parametrize("piece", [b"\r", b"\r\n", b"\r\n--", b"\r\n--b", b"\r\n--bbx", b"\n"])
def test_a_file_that_is_nearly_all_boundary_costs_others_little(api: ApiProcess, piece: bytes) -> None:
    body = HEAD + piece * ((4 << 20) // len(piece)) + b"x" + TAIL

    def attack() -> None:
        assert post(api, body).status_code == 200

    under(api, attack, plus=1)

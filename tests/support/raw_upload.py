"""An upload over a bare socket, so that a test may break it off wherever it likes."""

import contextlib
import http.client
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import urlsplit

import httpx

HEAD: Final = b'--bb\r\nContent-Disposition: form-data; name="file"; filename="cut.mp4"\r\n\r\n'
TAIL: Final = b"\r\n--bb--\r\n"
PIECE: Final = 64 << 10
PATIENCE: Final = 30.0
"""Seconds that sending, or an answer, may take."""


def request(size: int) -> bytes:
    """Return the head of a request that uploads a file of so many bytes, up to the file's first byte."""
    lines = (
        "POST /api/upload_video HTTP/1.1",
        "Host: localhost",
        "Content-Type: multipart/form-data; boundary=bb",
        f"Content-Length: {len(HEAD) + size + len(TAIL)}",
    )
    return "\r\n".join((*lines, "", "")).encode() + HEAD


def submission(size: int, *more: str) -> bytes:
    """Return the head of a request whose body is a file of so many bytes, with more lines."""
    lines = ("POST /api/v1/videos HTTP/1.1", "Host: localhost", "Content-Type: video/mp4", *more)
    return "\r\n".join((*lines, f"Content-Length: {size}", "", "")).encode()


@contextlib.contextmanager
def begun_upload(
    url: str, size: int, *, sent: int, head_of: Callable[[int], bytes] = request
) -> Iterator[socket.socket]:
    """Announce a file of `size` zeros and send the first `sent` bytes; then it is the test's."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), timeout=PATIENCE) as connection:
        head = head_of(size)
        connection.sendall(head[:sent])
        left = sent - len(head)
        while left > 0:
            connection.sendall(bytes(min(left, PIECE)))
            left -= PIECE
        yield connection


def reset(connection: socket.socket) -> None:
    """End a connection as a process that is killed does: at once, whatever is still on its way."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def answer_of(connection: socket.socket) -> httpx.Response:
    """Return the answer as soon as it is there, whether the request was sent to its end or not."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())

"""Messages reach real receivers, and nobody that a URL, a name or a redirect may not lead to."""

import ssl
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest
import trustme

from app.clients.http import receivers as module
from app.clients.http.receivers import Receivers, open_receivers
from app.domain.receivers import Reach
from tests.support.local_receiver import answer, open_receiver, redirect

LOOPBACK = ("127.0.0.1",)

NameServer = Callable[[str, int], Awaitable[Sequence[str]]]


def name_server(*answers: Sequence[str]) -> tuple[NameServer, list[str]]:
    """Return what answers each question with the next addresses, and what it was asked."""
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        if not found:
            raise OSError("no such name")
        return found

    return resolve, asked


async def post(receivers: Receivers, url: str) -> module.Reply:
    return await receivers.post(url, {"webhook-id": "msg_1"}, b'{"a":1}')


async def test_a_message_arrives_as_it_was_given() -> None:
    async with open_receiver() as receiver, open_receivers(Reach(LOOPBACK)) as receivers:
        reply = await post(receivers, receiver.url + "?key=value")
    (got,) = receiver.received
    assert (got.method, got.target, got.body) == ("POST", "/hook?key=value", b'{"a":1}')
    assert got.headers["webhook-id"] == "msg_1"
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert (reply.status, reply.error, reply.text) == (200, None, "ok")


async def test_nothing_is_sent_to_this_machine_unless_the_operator_says_so() -> None:
    async with open_receiver() as receiver, open_receivers(Reach()) as receivers:
        reply = await post(receivers, receiver.url)
    assert reply.status is None
    assert reply.error == "It is at an address that is not public."
    assert receiver.connections == 0


async def test_a_name_may_not_lead_to_a_private_address_in_whatever_spelling() -> None:
    for text in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "169.254.169.254", "fe80::1%lo"):
        resolve, _ = name_server([text])
        async with open_receiver() as receiver, open_receivers(Reach(), resolve=resolve) as receivers:
            reply = await post(receivers, f"http://hooks.example:{receiver.port}/")
        assert reply.error == "It is at an address that is not public.", text
        assert text not in reply.error
        assert receiver.connections == 0


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "localhost", "localhost."])
async def test_names_that_the_system_reads_as_this_machine_are_refused_like_it(host: str) -> None:
    async with open_receiver() as receiver, open_receivers(Reach()) as receivers:
        reply = await post(receivers, f"http://{host}:{receiver.port}/")
    assert reply.status is None
    assert receiver.connections == 0


async def test_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    resolve, _ = name_server(["8.8.8.8", "127.0.0.1"])
    async with open_receiver() as receiver, open_receivers(Reach(), resolve=resolve) as receivers:
        reply = await post(receivers, f"http://hooks.example:{receiver.port}/")
    assert reply.error == "It is at an address that is not public."
    assert receiver.connections == 0


async def test_a_name_that_leads_elsewhere_after_the_check_changes_nothing() -> None:
    resolve, asked = name_server(["127.0.0.1"], ["127.0.0.2"])
    async with (
        open_receiver() as allowed,
        open_receiver(address="127.0.0.2", port=allowed.port) as private,
        open_receivers(Reach(LOOPBACK), resolve=resolve) as receivers,
    ):
        url = f"http://hooks.example:{allowed.port}/"
        assert (await post(receivers, url)).status == 200
        assert asked == ["hooks.example"], "it is looked up once, and that is what is connected to"
        assert (await post(receivers, url)).error == "It is at an address that is not public."
    assert (allowed.connections, private.connections) == (1, 0)


async def test_a_redirect_to_a_private_address_is_not_followed() -> None:
    async with (
        open_receiver(address="127.0.0.2") as private,
        open_receiver(redirect(private.url)) as allowed,
        open_receivers(Reach(LOOPBACK)) as receivers,
    ):
        reply = await post(receivers, allowed.url)
    assert (reply.status, reply.error) == (None, "It is at an address that is not public.")
    assert (allowed.connections, private.connections) == (1, 0)


async def test_a_redirect_to_a_name_is_looked_up_and_checked_like_the_first() -> None:
    resolve, asked = name_server(["127.0.0.1"], ["127.0.0.2"])
    async with (
        open_receiver(redirect("http://inner.example/")) as allowed,
        open_receivers(Reach(LOOPBACK), resolve=resolve) as receivers,
    ):
        reply = await post(receivers, f"http://hooks.example:{allowed.port}/")
    assert asked == ["hooks.example", "inner.example"]
    assert reply.error == "It is at an address that is not public."


@pytest.mark.parametrize("status", ["307 Temporary Redirect", "308 Permanent Redirect"])
async def test_a_redirect_to_somebody_who_is_allowed_is_followed_with_the_message(status: str) -> None:
    async with (
        open_receiver() as second,
        open_receiver(redirect(second.url, status)) as first,
        open_receivers(Reach(LOOPBACK)) as receivers,
    ):
        reply = await post(receivers, first.url)
    assert (reply.status, reply.text) == (200, "ok")
    assert second.received[0].body == b'{"a":1}'
    assert second.received[0].headers["webhook-id"] == "msg_1"
    assert second.received[0].headers["host"] == f"127.0.0.1:{second.port}"


async def test_a_redirect_that_would_lose_the_message_is_an_answer_like_others() -> None:
    async with (
        open_receiver(redirect("/x", "302 Found")) as one,
        open_receivers(Reach(LOOPBACK)) as receivers,
    ):
        reply = await post(receivers, one.url)
    assert (reply.status, one.connections) == (302, 1)


async def test_redirects_have_an_end() -> None:
    async with open_receiver(redirect("/again")) as one, open_receivers(Reach(LOOPBACK)) as receivers:
        reply = await post(receivers, one.url)
    assert (reply.status, reply.error) == (307, "It redirects more than 3 times.")
    assert one.connections == 4


async def test_a_receiver_that_is_down_or_unknown_is_a_reply_that_says_so() -> None:
    async with open_receiver() as receiver:
        pass
    resolve, _ = name_server([])
    async with open_receivers(Reach(LOOPBACK), resolve=resolve) as receivers:
        down = await post(receivers, receiver.url)
        unknown = await post(receivers, "http://hooks.example/")
    assert down.error is not None
    assert down.error.startswith("It cannot be reached")
    assert unknown.error == "It cannot be reached: the name cannot be looked up."


async def test_a_second_address_is_tried_when_the_first_does_not_answer() -> None:
    resolve, _ = name_server(["127.0.0.3", "127.0.0.1"])
    async with open_receiver() as one, open_receivers(Reach(["127.0.0.0/8"]), resolve=resolve) as receivers:
        assert (await post(receivers, f"http://hooks.example:{one.port}/")).status == 200


async def test_a_receiver_that_is_slow_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WITHIN", 0.5)
    begun = time.monotonic()
    async with open_receiver(None) as slow, open_receivers(Reach(LOOPBACK)) as receivers:
        reply = await post(receivers, slow.url)
    assert reply.status is None
    assert reply.error is not None
    assert reply.error.startswith("It did not answer within")
    assert 0.5 <= reply.seconds <= time.monotonic() - begun < 10


async def test_of_an_answer_only_the_beginning_is_read() -> None:
    endless = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n" + b"a\x00\r\n\x1b[31m" + b"x" * 300_000
    )
    begun = time.monotonic()
    async with open_receiver(endless) as one, open_receivers(Reach(LOOPBACK)) as receivers:
        reply = await post(receivers, one.url)
    assert reply.status == 200
    assert len(reply.text) == 200
    assert reply.text.isprintable()
    assert time.monotonic() - begun < 5


async def test_a_body_that_never_comes_does_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_WITHIN", 0.2)
    unfinished = b"HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\nab"
    async with open_receiver(unfinished) as one, open_receivers(Reach(LOOPBACK)) as receivers:
        one.keeps_open = True
        reply = await post(receivers, one.url)
    assert (reply.status, reply.text) == (202, "ab")


@pytest.mark.parametrize(
    "nonsense", [b"SSH-2.0-OpenSSH_9.6\r\n", b"\x00" * 2000, b"HTTP/1.1 2000 X\r\n\r\n", b""]
)
async def test_what_is_no_answer_is_a_reply_that_says_so(nonsense: bytes) -> None:
    async with open_receiver(nonsense) as one, open_receivers(Reach(LOOPBACK)) as receivers:
        reply = await post(receivers, one.url)
    assert reply.status is None
    assert reply.error


async def test_what_a_receiver_asks_for_is_handed_on() -> None:
    busy = answer("503 Service Unavailable", b"later", Retry_After="77")
    async with open_receiver(busy) as one, open_receivers(Reach(LOOPBACK)) as receivers:
        reply = await post(receivers, one.url)
    assert (reply.status, reply.retry_after, reply.text) == (503, "77", "later")


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_receiver() as proxy, open_receiver() as one:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with open_receivers(Reach(LOOPBACK)) as receivers:
            assert (await post(receivers, one.url)).status == 200
    assert (proxy.connections, one.connections) == (0, 1)


async def test_tls_is_about_the_name_although_an_address_is_connected_to() -> None:
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.example").configure_cert(serving)
    named: list[str | None] = []
    serving.sni_callback = lambda _socket, name, _context: named.append(name)
    resolve, _ = name_server(["127.0.0.1"])
    async with (
        open_receiver(tls=serving) as one,
        open_receivers(Reach(LOOPBACK), resolve=resolve, tls=trusting) as receivers,
        open_receivers(Reach(LOOPBACK), resolve=resolve) as doubting,
    ):
        assert (await post(receivers, f"https://hooks.example:{one.port}/")).status == 200
        other = await post(receivers, f"https://other.example:{one.port}/")
        unknown = await post(doubting, f"https://hooks.example:{one.port}/")
    assert named[:2] == ["hooks.example", "other.example"]
    for reply in (other, unknown):
        assert reply.status is None
        assert reply.error is not None
        assert "certificate" in reply.error
    assert len(one.received) == 1


async def test_this_machine_is_not_reached_by_a_public_address_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.domain.receivers.is_public", lambda _: True)  # as if loopback were one
    async with open_receiver() as one, open_receivers(Reach()) as receivers:
        reply = await post(receivers, one.url)
    assert reply.error == "It is at an address that is not public."
    assert one.received == []

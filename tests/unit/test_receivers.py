"""Which URLs a webhook may have, and whom it may reach."""

import ipaddress

import pytest

from app.domain.receivers import Reach, check_allowed, read_receiver, redirected
from app.errors import Rejected


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("https://hooks.example.org", "hooks.example.org", "/"),
        ("https://hooks.example.org:443/a/b?c=d", "hooks.example.org", "/a/b?c=d"),
        ("http://Hooks.Example.ORG:8080/a#part", "hooks.example.org:8080", "/a"),
        ("http://93.184.216.34?a", "93.184.216.34", "/?a"),
        ("https://[2606:4700::1111]:8443/a", "[2606:4700::1111]:8443", "/a"),
        ("https://my_hooks.example.org./", "my_hooks.example.org", "/"),
    ],
)
def test_a_url_is_taken_apart(url: str, authority: str, target: str) -> None:
    receiver = read_receiver(url)
    assert (receiver.authority, receiver.target) == (authority, target)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "hooks.example.org",
            "//hooks.example.org",
            "https://",
            "https:///a",
            "https:hooks.example.org",
        ),
        *("ftp://hooks.example.org", "file:///etc/passwd", "gopher://hooks.example.org", "javascript:1"),
        *("https://user@hooks.example.org", "https://user:pass@hooks.example.org", "https://@example.org"),
        *("https://hooks.example.org:0", "https://hooks.example.org:65536", "https://hooks.example.org:x"),
        *("https://hooks example.org", "https://hooks.example.org/ä", "https://hööks.example.org"),
        *(
            "https://hooks.example.org\\@127.0.0.1/",
            "https://hooks.example.org/\n",
            "https://hooks\t.example.org",
        ),
        *(
            "https://%6c%6f/",
            "https://[::1",
            "https://[::1%25eth0]/",
            "https://[v1.a]/",
            "https://-/",
            "https://*/",
        ),
        "https://hooks.example.org/" + "a" * 2048,
    ],
)
def test_what_nothing_can_be_posted_to_is_refused(url: str) -> None:
    with pytest.raises(Rejected):
        read_receiver(url)


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1/", "http://[::1]/", "http://10.0.0.1:8080/", "http://169.254.169.254/latest"),
        *("http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://0.0.0.0/"),
        *("http://hooks.example.org:22/", "https://hooks.example.org:25/", "http://8.8.8.8:53/"),
    ],
)
def test_private_addresses_and_ports_of_other_services_are_refused_at_once(url: str) -> None:
    with pytest.raises(Rejected):
        Reach().check(read_receiver(url))


@pytest.mark.parametrize("port", [80, 443, 1024, 8443, 65535])
def test_usual_ports_of_public_receivers_are_not_refused(port: int) -> None:
    Reach().check(read_receiver(f"https://hooks.example.org:{port}/"))
    Reach().check(read_receiver(f"https://8.8.8.8:{port}/"))


@pytest.mark.parametrize(
    ("allowed", "host", "address", "is_admitted"),
    [
        ("hooks.lan", "hooks.lan", "10.1.2.3", True),
        ("hooks.lan", "other.lan", "10.1.2.3", False),
        ("hooks.lan", "hooks.lan.example.org", "10.1.2.3", False),
        ("*.lan", "hooks.lan", "10.1.2.3", True),
        ("*.lan", "lan", "10.1.2.3", False),
        ("*.lan", "xlan", "10.1.2.3", False),
        ("10.1.0.0/16", "hooks.lan", "10.1.2.3", True),
        ("10.1.0.0/16", "hooks.lan", "::ffff:10.1.2.3", True),
        ("10.1.0.0/16", "hooks.lan", "10.2.2.3", False),
        ("10.1.2.3", "hooks.lan", "10.1.2.3", True),
        ("[fd00::1]", "hooks.lan", "fd00::1", True),
        ("hooks.lan", "elsewhere.example", "8.8.8.8", True),
    ],
)
def test_an_operator_opens_what_is_named_and_no_more(
    allowed: str, host: str, address: str, *, is_admitted: bool
) -> None:
    assert Reach([allowed]).admits(host, ipaddress.ip_address(address)) is is_admitted


def test_a_host_that_is_named_may_listen_on_any_port() -> None:
    Reach(["hooks.lan", "10.0.0.0/8"]).check(read_receiver("http://hooks.lan:81/"))
    Reach(["hooks.lan", "10.0.0.0/8"]).check(read_receiver("http://10.1.1.1:81/"))


def test_a_redirect_is_read_as_the_url_it_came_from_and_never_leaves_https() -> None:
    begun = read_receiver("https://hooks.example.org/a/b")
    assert redirected(begun, "c?d").url == "https://hooks.example.org/a/c?d"
    assert redirected(begun, "//other.example.org/").host == "other.example.org"
    for location in (
        "http://hooks.example.org/",
        "ftp://hooks.example.org/",
        "https://u@example.org/",
        "//[",
    ):
        with pytest.raises(Rejected):
            redirected(begun, location)


@pytest.mark.parametrize("text", ["hooks.lan", "*.lan", "10.0.0.0/8", "10.0.0.1", "fd00::/8", "[::1]"])
def test_hosts_addresses_and_networks_can_be_allowed(text: str) -> None:
    assert check_allowed(text) == text


@pytest.mark.parametrize("text", ["10.0.0.0/33", "http://hooks.lan", "*", "a b", "*.*.lan", "hooks.lan:8080"])
def test_nothing_else_can_be_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        check_allowed(text)

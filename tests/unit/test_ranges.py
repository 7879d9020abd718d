"""Which bytes are answered to which range and condition (RFC 9110, sections 13 and 14)."""

from datetime import UTC, datetime

import pytest
from starlette.datastructures import Headers

from api.transport.ranges import Version, Wanted, decide

VERSION = Version('"abc"', datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC), 1000)
SECOND = "Fri, 02 Jan 2026 03:04:05 GMT"
BEFORE = "Fri, 02 Jan 2026 03:04:04 GMT"


def decided(**headers: str) -> Wanted:
    return decide(Headers({name.replace("_", "-"): value for name, value in headers.items()}), VERSION)


@pytest.mark.parametrize(
    ("asked", "span"),
    [
        ("bytes=0-0", (0, 0)),
        ("bytes=0-", (0, 999)),
        ("bytes=10-19", (10, 19)),
        ("bytes=990-5000", (990, 999)),
        ("bytes=-1", (999, 999)),
        ("bytes=-5000", (0, 999)),
        ("Bytes= 5-6 ", (5, 6)),
    ],
)
def test_one_range_is_answered_with_its_bytes(asked: str, span: tuple[int, int]) -> None:
    assert decided(range=asked) == Wanted(206, span)  # type: ignore[arg-type]  # equal to the status


@pytest.mark.parametrize("asked", ["bytes=1000-", "bytes=1000-1001", "bytes=-0", f"bytes={10**17}-"])
def test_a_range_of_which_nothing_is_there_is_not_satisfiable(asked: str) -> None:
    assert decided(range=asked).status == 416


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-1,5-6", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "frames=0-1", f"bytes={'9' * 30}-", "x"],
)
def test_several_ranges_and_what_is_no_range_are_as_if_nothing_was_said(asked: str) -> None:
    assert decided(range=asked) == Wanted(200)  # type: ignore[arg-type]  # see above


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"abc"', 206),
        ('"abd"', 200),
        ('W/"abc"', 200),
        (SECOND, 206),
        (BEFORE, 200),
        ("yesterday", 200),
    ],
)
def test_a_range_of_another_version_is_answered_with_the_whole(condition: str, status: int) -> None:
    assert decided(range="bytes=0-9", if_range=condition).status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if_none_match": '"x", W/"abc"'}, 304),
        ({"if_none_match": "*"}, 304),
        ({"if_none_match": '"x"', "if_modified_since": SECOND}, 200),
        ({"if_modified_since": SECOND}, 304),
        ({"if_modified_since": BEFORE}, 200),
        ({"if_match": '"abc"'}, 200),
        ({"if_match": 'W/"abc"'}, 412),
        ({"if_match": '"x"', "range": "bytes=0-1"}, 412),
        ({"if_unmodified_since": BEFORE}, 412),
        ({"if_unmodified_since": SECOND, "range": "bytes=0-1"}, 206),
        ({"if_match": "*", "if_unmodified_since": BEFORE}, 200),
        ({"if_none_match": '"abc"', "range": "bytes=0-1"}, 304),
    ],
)
def test_conditions_are_taken_in_the_order_of_the_standard(headers: dict[str, str], status: int) -> None:
    assert decided(**headers).status == status


def test_of_an_empty_file_there_is_no_range() -> None:
    empty = Version('"0"', VERSION.modified, 0)
    assert decide(Headers({"range": "bytes=0-"}), empty).status == 416
    assert decide(Headers({"range": "bytes=-5"}), empty).status == 416
    assert decide(Headers({}), empty).status == 200

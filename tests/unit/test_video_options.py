"""Options of a video: what is allowed, how it is written in a query or in JSON, and what is refused."""

from typing import Any

import msgspec
import pytest
from fastapi.exceptions import RequestValidationError

from api.intake.options import VideoOptions, to_message
from api.intake.orders import Pair, VideoRequest, read_pairs, read_request
from api.problems import Invalid
from app.domain.messages import Options, Preprocess
from app.domain.options import listed


def refused_fields(error: pytest.ExceptionInfo[RequestValidationError]) -> list[str]:
    return [item["loc"][1] for item in error.value.errors()]


def test_without_a_word_the_options_are_those_of_ultralytics() -> None:
    options = read_pairs([]).options
    assert to_message(options) == Options()
    assert msgspec.json.encode(to_message(options)) == b"{}"
    assert listed(Options()) == {
        "conf": 0.25,
        "iou": 0.45,
        "vid_stride": 5,
        "max_det": 300,
        "classes": None,
        "imgsz": 640,
        "preprocess": {"blur": 3, "alpha": 1.3, "beta": 5.0},
        "start": None,
        "end": None,
    }


def test_a_query_and_json_say_the_same() -> None:
    pairs = [
        *(("conf", ".5"), ("iou", "0.6"), ("vid_stride", "2"), ("max_det", "10"), ("imgsz", "320")),
        *(("classes", "car"), ("classes", "0"), ("preprocess", '{"blur": 5}'), ("start", "1.5")),
        *(("end", "9"), ("tags", "one"), ("tags", "два"), ("webhook", "https://example.org/a")),
    ]
    body = {
        "object": "a.mp4",
        "conf": 0.5,
        "iou": 0.6,
        "vid_stride": 2,
        "max_det": 10,
        "imgsz": 320,
        "classes": ["car", 0],
        "preprocess": {"blur": 5},
        "start": 1.5,
        "end": 9,
        "tags": ["one", "два"],
        "webhook": "https://example.org/a",
    }
    order, request = read_pairs(pairs), read_request(msgspec.json.encode(body), VideoRequest)
    wanted = Options(0.5, 0.6, 2, 10, ("car", 0), 320, Preprocess(blur=5), 1.5, 9)
    for options in (order.options, request):
        assert to_message(options) == wanted
        assert (options.tags, options.webhook) == (["one", "два"], "https://example.org/a")
    assert msgspec.json.decode(msgspec.json.encode(wanted), type=Options) == wanted


@pytest.mark.parametrize("text", ["false", "off"])
def test_nothing_is_done_to_pictures_if_the_client_says_so(text: str) -> None:
    wanted = Options(preprocess=False)
    assert to_message(read_pairs([("preprocess", text)]).options) == wanted
    assert to_message(read_request(b'{"object":"a","preprocess":false}', VideoRequest)) == wanted
    assert listed(wanted)["preprocess"] is False


def test_a_number_in_json_that_is_a_text_is_a_name() -> None:
    assert to_message(read_request(b'{"object":"a","classes":["7",8]}', VideoRequest)).classes == ("7", 8)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("conf", "1.01"), ("conf", "-0.1"), ("conf", "nan"), ("conf", "high"), ("conf", "")),
        *(("iou", "2"), ("iou", "inf"), ("vid_stride", "0"), ("vid_stride", "1.5"), ("vid_stride", "10001")),
        *(("max_det", "0"), ("max_det", "3001"), ("imgsz", "31"), ("imgsz", "650"), ("imgsz", "1312")),
        *(("start", "-1"), ("start", "nan"), ("end", "0"), ("end", "1e300"), ("classes", "")),
        *(("classes", "x" * 101), ("classes", "99999"), ("tags", ""), ("tags", "x" * 65), ("tags", "a\x00b")),
        *(("tags", " a"), ("tags", "a\u202eb"), ("preprocess", "true"), ("preprocess", "on")),
        *(("preprocess", "["), ("preprocess", "[" * 4000), ("preprocess.blur", '{"blur": 4}')),
        *(("preprocess.blur", '{"blur": 33}'), ("preprocess.alpha", '{"alpha": 4.1}')),
        *(("preprocess.beta", '{"beta": -256}'), ("preprocess.gamma", '{"gamma": 1}'), ("confidence", "0.5")),
        ("x" * 64, ""),
    ],
)
def test_what_is_out_of_bounds_is_named(name: str, text: str) -> None:
    field = name.partition(".")[0]
    with pytest.raises(RequestValidationError) as error:
        read_pairs([(field, text)])
    assert set(refused_fields(error)) == {name}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("conf", "0.5"), ("conf", True), ("vid_stride", 1.5), ("vid_stride", "2"), ("classes", "car")),
        *(("classes", []), ("classes", [None]), ("classes", [-1]), ("classes", [True])),
        *(("classes", ["a"] * 101), ("tags", ["a", "a"]), ("tags", [str(n) for n in range(21)])),
        *(("tags", [1]), ("webhook", 1), ("object", ""), ("object", None), ("unknown", 1), ("bucket", 1)),
    ],
)
def test_json_has_types_and_bounds(field: str, value: object) -> None:
    with pytest.raises(RequestValidationError) as error:
        read_request(msgspec.json.encode({"object": "a.mp4"} | {field: value}), VideoRequest)
    assert set(refused_fields(error)) == {field}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 60_000, b'{"object":"\\ud800"}'])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(RequestValidationError) as error:
        read_request(body, VideoRequest)
    assert refused_fields(error) == ["body"]


def test_an_end_before_the_start_is_refused() -> None:
    for start, end in (("5", "5"), ("5", "4")):
        with pytest.raises(RequestValidationError) as error:
            read_pairs([("start", start), ("end", end)])
        assert refused_fields(error) == ["end"]


def test_every_field_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(RequestValidationError) as error:
        read_pairs([("conf", "7"), ("iou", "7"), ("nothing", "7")])
    assert set(refused_fields(error)) == {"conf", "iou", "nothing"}


@pytest.mark.parametrize("name", ["conf", "bucket", "webhook", "preprocess", "nothing"])
def test_a_field_that_is_there_twice_is_refused(name: str) -> None:
    pairs: list[Pair] = [(name, "1")] * 2
    with pytest.raises(Invalid) as error:
        read_pairs(pairs)
    assert error.value.field == name


@pytest.mark.parametrize(
    "address",
    [
        *("example.org", "/a", "ftp://example.org/", "file:///etc/passwd", "javascript:alert(1)", "http://"),
        *("http://user:word@example.org/", "http://user@example.org/", "http://exa mple.org/", "http://[::1"),
        *("http://example.org:99999/", "http://example.org/\n", "http://пример.рф/", "http:\\\\example.org"),
        *("https://example.org/" + "x" * 2029, ""),
    ],
)
def test_what_is_no_address_of_a_webhook_is_refused(address: str) -> None:
    with pytest.raises((Invalid, RequestValidationError)) as error:
        read_pairs([("webhook", address)])
    found: Any = error.value
    assert (found.field if isinstance(found, Invalid) else found.errors()[0]["loc"][1]) == "webhook"


@pytest.mark.parametrize("address", ["http://a/", "https://example.org:8443/x?y=z#w", "http://[::1]:80/"])
def test_what_is_one_is_kept_as_it_is(address: str) -> None:
    assert read_pairs([("webhook", address)]).options.webhook == address


def test_the_bounds_of_messages_hold_what_the_api_lets_in() -> None:
    """What is recorded is read again by a worker, which knows the bounds of the message only."""
    pairs = [("conf", "1"), ("iou", "0"), ("vid_stride", "10000"), ("max_det", "3000"), ("imgsz", "1280")]
    edges = [("preprocess", '{"blur":31,"alpha":4,"beta":-255}'), ("start", "0"), ("end", "1e7")]
    message = to_message(read_pairs(pairs + edges).options)
    assert msgspec.convert(msgspec.to_builtins(message), Options) == message
    assert VideoOptions.model_fields.keys() - {"tags", "webhook"} == set(Options.__struct_fields__)

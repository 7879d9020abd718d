"""One line per event, flushed at once, with its facts as fields; a library's chatter is told now and then."""

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from pydantic import SecretStr

from app import logs
from app.logs import describe_settings, set_up_logs
from app.settings import Settings
from app.telemetry.subject import about


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Where lines go; what pytest has set up is put back afterwards."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", stream)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs.QUIET}
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def test_a_line_has_its_time_level_role_event_and_fields(output: io.StringIO) -> None:
    set_up_logs("runner", Settings())
    logging.getLogger("app.test").info("video is split", extra={"video_id": "a", "sampled": 3})
    when, *rest = output.getvalue().split()
    assert when.endswith("Z")
    assert rest == ["INFO", "runner", "video", "is", "split", "video_id=a", "sampled=3"]


def test_json_lines_are_for_programs(output: io.StringIO) -> None:
    set_up_logs("runner", Settings(log_format="json"))
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("app.test").exception("failed", extra={"video_id": "a"})
    (line,) = output.getvalue().splitlines()
    found = msgspec.json.decode(line)
    assert found.pop("time")
    assert "ZeroDivisionError" in found.pop("exception")
    assert found == {
        "level": "ERROR",
        "role": "runner",
        "logger": "app.test",
        "event": "failed",
        "video_id": "a",
    }


def test_lines_are_flushed_at_once(output: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    monkeypatch.setattr(output, "flush", lambda: flushed.append(output.getvalue()))
    set_up_logs("runner", Settings())
    logging.getLogger("app.test").info("first")
    assert "first" in flushed[-1]


def test_a_library_says_the_same_thing_once_a_minute(
    output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("app.logs.time.monotonic", lambda: now)
    set_up_logs("runner", Settings())
    chatter = logging.getLogger("aiokafka.client")
    for partition in range(100):
        chatter.error("no leader for %s", partition)
    assert output.getvalue().count("no leader") == 1
    now += logs.SAME_LINE_EVERY
    chatter.error("no leader for %s", 7)
    assert output.getvalue().count("no leader") == 2


def test_numbers_do_not_make_another_sentence(output: io.StringIO) -> None:
    set_up_logs("results", Settings())
    for size in (136, 141):
        logging.getLogger("mode.producer").warning(f"producer buffer full size {size}")  # noqa: G004 - as it does
    assert output.getvalue().count("producer buffer full") == 1


def test_that_the_broker_is_away_is_said_once_in_whatever_words(output: io.StringIO) -> None:
    set_up_logs("results", Settings())
    for name, line in (
        ("aiokafka.client", "Unable connect to node with id 1: [Errno 111]"),
        ("aiokafka", "Unable to update metadata from [1]"),
        ("aiokafka.consumer.fetcher", "Failed fetch messages from 1: KafkaConnectionError: closed"),
        ("faust.topics", "_on_published error NodeNotReadyError"),
    ):
        logging.getLogger(name).error(line)
    assert len(output.getvalue().splitlines()) == 1


def test_the_future_of_a_message_that_nobody_was_given_fails_unseen(output: io.StringIO) -> None:
    set_up_logs("outbox", Settings())
    logging.getLogger("asyncio").error("FutureMessage exception was never retrieved\nfuture: …")
    logging.getLogger("asyncio").error("Task exception was never retrieved")
    assert len(output.getvalue().splitlines()) == 1


def test_what_kafkas_client_tries_again_by_itself_is_no_error(output: io.StringIO) -> None:
    set_up_logs("runner", Settings())
    logging.getLogger("aiokafka.conn").error("coordinator is being chosen")
    assert " WARNING " in output.getvalue()


def test_our_own_lines_are_all_told(output: io.StringIO) -> None:
    set_up_logs("runner", Settings())
    for _ in range(3):
        logging.getLogger("app.test").info("event sent")
    assert output.getvalue().count("event sent") == 3


def test_setting_up_twice_says_everything_once(output: io.StringIO) -> None:
    set_up_logs("runner", Settings())
    set_up_logs("runner", Settings())
    logging.getLogger("app.test").info("starting")
    assert output.getvalue().count("starting") == 1


def test_a_default_secret_is_a_warning_without_the_secret(output: io.StringIO) -> None:
    settings = Settings(minio_secret_key=SecretStr("minioadmin"))
    set_up_logs("runner", settings)
    describe_settings("runner", settings)
    assert "a default secret is in use: set MINIO_SECRET_KEY" in output.getvalue()
    assert "minioadmin" not in output.getvalue()


def test_for_programs_numbers_stay_numbers_and_what_json_lacks_is_a_text(output: io.StringIO) -> None:
    set_up_logs("results", Settings(log_format="json"))
    facts = {"sampled": 3, "seconds": 0.5, "code": None, "is_new": True, "folder": Path("models")}
    logging.getLogger("app.test").info("video is split", extra=facts)
    found = msgspec.json.decode(output.getvalue())
    assert {name: found[name] for name in facts} == facts | {"folder": "models"}


def test_lines_of_the_web_server_are_like_all_others(output: io.StringIO) -> None:
    server, own = logging.getLogger("uvicorn.error"), io.StringIO()
    server.addHandler(handler := logging.StreamHandler(own))
    try:
        set_up_logs("api", Settings(log_format="json"))
        server.info("Application startup complete.")
    finally:
        server.removeHandler(handler)
    assert not own.getvalue()
    assert msgspec.json.decode(output.getvalue())["event"] == "Application startup complete."


def test_a_line_names_the_video_that_the_work_in_hand_is_about(output: io.StringIO) -> None:
    set_up_logs("runner", Settings(log_format="json"))
    with about("a"):
        logging.getLogger("app.test").warning("renderer complained")
        logging.getLogger("app.test").info("event sent", extra={"video_id": "b"})
    logging.getLogger("app.test").info("starting")
    found = [msgspec.json.decode(line) for line in output.getvalue().splitlines()]
    assert [line.get("video_id") for line in found] == ["a", "b", None]

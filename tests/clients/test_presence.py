"""A service that goes away or comes back is told once."""

import logging

import pytest

from app.clients.presence import Presence


class Time:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Time:
    caplog.set_level(logging.INFO)
    found = Time()
    monkeypatch.setattr("app.clients.presence.time.monotonic", found)
    return found


def test_only_changes_are_logged(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    presence = Presence("Mongo")
    for _ in range(2):
        presence.answered()
    for _ in range(3):
        time.now += 2
        presence.lost("refused", begun=time.now)
    for _ in range(2):
        presence.answered()
    assert caplog.messages == ["connection made", "connection lost", "connection made"]
    assert {vars(record)["peer"] for record in caplog.records} == {"Mongo"}
    assert vars(caplog.records[-1])["away_seconds"] == 4.0


def test_a_service_that_never_answered_is_told_once(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    presence = Presence("Mongo")
    for _ in range(3):
        time.now += 2
        presence.lost("refused", begun=time.now)
    assert caplog.messages == ["connection lost"]


def test_a_service_that_answers_every_other_call_is_not_away(
    time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    presence = Presence("Kafka")
    for _ in range(10):
        time.now += 0.4
        presence.answered()
        presence.lost("no leader", begun=time.now)
    assert caplog.messages == ["connection made"]


def test_a_call_that_ends_late_says_nothing_of_a_service_that_is_back(
    time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    presence = Presence("Kafka")
    begun = time.now
    presence.answered()
    time.now += 5
    presence.lost("refused", begun=time.now)
    presence.answered()
    time.now += 5
    presence.lost("no answer in 5 s", begun=begun)
    assert caplog.messages == ["connection made", "connection lost", "connection made"]

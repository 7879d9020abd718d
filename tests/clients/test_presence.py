"""A service that goes away or comes back is told once."""

import logging

import pytest

from app.clients.presence import Presence


def test_only_changes_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    presence = Presence("Mongo")
    for _ in range(2):
        presence.answered()
    for _ in range(2):
        presence.lost("refused")
    for _ in range(2):
        presence.answered()
    assert caplog.messages == ["connection made", "connection lost", "connection made"]
    assert {vars(record)["peer"] for record in caplog.records} == {"Mongo"}


def test_a_service_that_never_answered_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    presence = Presence("Mongo")
    for _ in range(3):
        presence.lost("refused")
    assert caplog.messages == ["connection lost"]

"""What signs a message, and what follows from what its receiver answers."""

import base64
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.domain.webhooks import PAUSES, Signer, check_secrets, next_step

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OLD = "whsec_" + base64.b64encode(b"o" * 32).decode()
NEW = "whsec_" + base64.b64encode(b"n" * 24).decode()


def test_the_reference_library_verifies_what_is_signed() -> None:
    headers = Signer([NEW]).headers("msg_1", at=datetime.now(UTC), body='{"a":"ä"}', owner=None)
    assert Webhook(NEW).verify('{"a":"ä"}'.encode(), headers) == {"a": "ä"}
    for body, changed in (("{}", {}), ('{"a":"ä"}', {"webhook-id": "msg_2"})):
        with pytest.raises(WebhookVerificationError):
            Webhook(NEW).verify(body, headers | changed)


def test_while_secrets_change_both_verify() -> None:
    headers = Signer([NEW, OLD]).headers("msg_1", at=datetime.now(UTC), body="{}", owner=None)
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (NEW, OLD):
        Webhook(secret).verify("{}", headers)


def test_each_key_has_secrets_of_its_own_and_none_that_sign_for_others() -> None:
    signer = Signer([NEW, OLD])
    one, other = signer.secrets_of("one"), signer.secrets_of("other")
    assert one == Signer([NEW, OLD]).secrets_of("one")
    assert len({*one, *other, NEW, OLD}) == 6
    assert check_secrets(" ".join(one)) == one
    headers = signer.headers("msg_1", at=datetime.now(UTC), body="{}", owner="one")
    Webhook(one[0]).verify("{}", headers)
    for secret in (*other, NEW, OLD):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify("{}", headers)


@pytest.mark.parametrize(
    "text", ["secret", "whsec_", "whsec_!!!!", "whsec_" + "QUFB" * 7, NEW.removeprefix("whsec_"), f"{NEW} x"]
)
def test_what_is_no_secret_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="each secret must be") as caught:
        check_secrets(text)
    assert "QUFB" not in str(caught.value)
    assert NEW not in str(caught.value)


def test_secrets_are_separated_by_spaces_and_may_be_none() -> None:
    assert check_secrets(f" {NEW}  {OLD} ") == (NEW, OLD)
    assert check_secrets("") == ()


def test_any_2xx_is_the_end() -> None:
    for status in (200, 202, 204, 299):
        assert next_step(status, tries=1, random=0, now=NOW).state == "delivered"


def test_gone_is_the_end_at_once() -> None:
    assert next_step(410, tries=1, random=0, now=NOW).state == "failed"


@pytest.mark.parametrize("status", [None, 301, 400, 404, 500, 503])
def test_everything_else_is_tried_ten_times_over_three_days(status: int | None) -> None:
    steps = [next_step(status, tries=tries, random=0, now=NOW) for tries in range(1, 11)]
    assert [step.pause for step in steps[:-1]] == list(PAUSES)
    assert steps[-1].state == "failed"
    assert steps[-1].pause is None
    assert timedelta(days=3) < sum(PAUSES, timedelta()) < timedelta(days=4)


def test_pauses_are_spread_by_a_fifth() -> None:
    pauses = [next_step(500, tries=2, random=random, now=NOW).pause for random in (0, 0.5, 1)]
    assert pauses == [timedelta(seconds=300), timedelta(seconds=330), timedelta(seconds=360)]


@pytest.mark.parametrize(
    ("status", "asked", "pause"),
    [
        (429, "60", timedelta(seconds=60)),
        (503, "60", timedelta(seconds=60)),
        (503, format_datetime(NOW + timedelta(seconds=90), usegmt=True), timedelta(seconds=90)),
        (503, "Thu, 01 Jan 2026 00:01:30 -0000", timedelta(seconds=90)),
        (429, "1", timedelta(seconds=5)),
        (429, "0", timedelta(seconds=5)),
        (429, "-1", timedelta(seconds=5)),
        (429, "soon", timedelta(seconds=5)),
        (429, "\uff19", timedelta(seconds=5)),
        (429, format_datetime(NOW - timedelta(days=1), usegmt=True), timedelta(seconds=5)),
        (429, "9" * 400, timedelta(hours=24)),
        (429, format_datetime(NOW + timedelta(days=9), usegmt=True), timedelta(hours=24)),
        (500, "60", timedelta(seconds=5)),
    ],
)
def test_a_receiver_may_ask_for_more_time_up_to_a_day(status: int, asked: str, pause: timedelta) -> None:
    assert next_step(status, tries=1, random=0, now=NOW, retry_after=asked).pause == pause

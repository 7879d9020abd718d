"""What an API key is."""

import hashlib
from datetime import UTC, datetime

import pytest

from app.domain.api_keys import SCOPES, ApiKey, Quotas, Scope, digest_of, draw_key, id_of, in_order


def key(*scopes: Scope) -> tuple[ApiKey, str]:
    key_id, text = draw_key()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return ApiKey(key_id, "mine", digest_of(text), frozenset(scopes), Quotas(), now), text


def test_a_key_says_whose_it_is_and_has_256_bits_that_nobody_knows() -> None:
    key_id, text = draw_key()
    prefix, middle, secret = text.split("_")
    assert (prefix, middle) == ("kadr", key_id)
    assert len(bytes.fromhex(secret)) == 32
    assert len({draw_key() for _ in range(1000)}) == 1000


def test_what_is_kept_is_the_sha_256_of_the_whole_key() -> None:
    found, text = key("read")
    assert found.digest == hashlib.sha256(text.encode()).hexdigest()
    assert text.split("_")[2] not in repr(found)


def test_a_key_is_opened_by_itself_and_by_nothing_else() -> None:
    found, text = key("read")
    assert found.is_opened_by(text)
    other = f"kadr_{found.id}_{'0' * 64}"
    for wrong in (other, text.upper(), text[:-1], text + "0", "", "ключ"):
        assert not found.is_opened_by(wrong)


@pytest.mark.parametrize("text", ["", "kadr_", "kadr_ab_cd", "Bearer x", "kadr_" + "0" * 12 + "_" + "g" * 64])
def test_what_is_no_key_has_no_id(text: str) -> None:
    assert id_of(text) is None
    _, good = draw_key()
    assert id_of(good + "\n") is None
    assert id_of(" " + good) is None


@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_may_what_its_scopes_say_and_admin_may_everything(scope: Scope) -> None:
    assert [each for each in SCOPES if key(scope)[0].may(each)] == (
        list(SCOPES) if scope == "admin" else [scope]
    )


def test_scopes_are_listed_in_one_order() -> None:
    assert in_order({"admin", "submit"}) == ["submit", "admin"]

"""States in words: exactly those that were promised, in the language the client likes best."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.sentences import SENTENCES, choose_language, describe


def test_the_russian_sentences_are_those_of_the_original() -> None:
    assert describe("new", "ru") == "Новое событие создано, ожидает отправки в очередь"
    assert describe("sent", "ru") == "Событие отправлено в очередь обработки"
    assert describe("ready", "ru") == "Результат сохранён в S3 и готов к забору"


def test_both_languages_know_every_state() -> None:
    assert SENTENCES["ru"].keys() == SENTENCES["en"].keys() == {"new", "sent", "ready", "failed"}


def test_a_reason_follows_only_a_failure() -> None:
    assert describe("failed", "en", reason="no frames") == "Processing failed: no frames"
    assert describe("ready", "en", reason="no frames") == SENTENCES["en"]["ready"]


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "ru"),
        ("", "ru"),
        ("*", "ru"),
        ("de, fr", "ru"),
        ("en", "en"),
        ("EN-us", "en"),
        ("en-GB,en;q=0.9,ru;q=0.8", "en"),
        ("ru;q=0.8, en;q=0.9", "en"),
        ("en;q=0.2, ru", "ru"),
        ("en; q=0.9, ru; q=0.3", "en"),
        ("en ;Q=0.9", "en"),
        ("en;q=0", "ru"),
        ("en;q=nan", "ru"),
        ("en;q=7", "ru"),
        ("en;level=1", "ru"),
        ("en;q=", "ru"),
        ("english", "ru"),
    ],
)
def test_the_client_gets_the_language_it_likes_best(header: str | None, language: str) -> None:
    assert choose_language(header, "ru") == language


def test_the_operator_chooses_for_clients_that_do_not() -> None:
    assert choose_language("de", "en") == "en"


@given(st.text(alphabet=st.sampled_from("enru-;q=.,0159* \t\x00é"), max_size=40) | st.text())
def test_no_header_breaks_the_choice(header: str) -> None:
    assert choose_language(header, "en") in ("en", "ru")

"""What the page says, it says in both languages."""

import re
from pathlib import Path

import pytest

from app.domain.failures import SENTENCES

PAGE = Path(__file__).parents[2] / "api" / "page"

PHRASE = re.compile(r'^  "(?P<key>[\w.]+)":(?P<phrase>.*?)(?=^  "[\w.]+":|^};)', re.MULTILINE | re.DOTALL)


def phrases(name: str) -> dict[str, str]:
    """The phrases of a file, each as it is written."""
    text = (PAGE / "words" / name).read_text(encoding="utf-8")
    return {found["key"]: found["phrase"] for found in PHRASE.finditer(text)}


def blanks(phrase: str) -> set[str]:
    """What is filled in."""
    return set(re.findall(r"\{(\w+)\}", phrase))


@pytest.mark.parametrize("part", ["", "video."])
def test_both_languages_have_the_same_phrases_with_the_same_blanks(part: str) -> None:
    english, russian = phrases(f"{part}en.js"), phrases(f"{part}ru.js")
    assert english.keys() == russian.keys()
    assert [key for key in english if blanks(english[key]) != blanks(russian[key])] == []


def test_russian_is_written_in_russian() -> None:
    foreign = {key for key, phrase in phrases("ru.js").items() if not re.search(r"[\u0400-\u04ff]", phrase)}
    assert foreign == {"page.title", "page.reference"}


def test_every_way_to_fail_is_said_in_plain_words_and_in_english_as_the_api_says_it() -> None:
    english, russian = phrases("en.js"), phrases("ru.js")
    assert {f"error.{code}" for code in SENTENCES} <= russian.keys()
    assert [code for code, sentence in SENTENCES.items() if sentence not in english[f"error.{code}"]] == []


def test_every_phrase_that_is_said_by_its_name_is_there() -> None:
    known = phrases("en.js").keys() | phrases("video.en.js").keys()
    for path in PAGE.rglob("*.js"):
        said = set(re.findall(r'\bsay\("([\w.]+)"', path.read_text(encoding="utf-8")))
        assert said <= known, path.name
    document = (PAGE / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'data-word(?:-[a-z-]+)?="([\w.]+)"', document)) <= known

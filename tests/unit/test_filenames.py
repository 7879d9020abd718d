"""A file's name is a word for people: whatever a client sends, nothing of it acts."""

import re
import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.filenames import (
    LONGEST,
    LONGEST_ENCODED,
    clean_filename,
    content_disposition,
    encode_filename,
    read_content_disposition,
)

RTL, LRM, ISOLATE, ZWJ = "\u202e", "\u200e", "\u2066", "\u200d"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("cats.mp4", "cats.mp4"),
        ("Кот и пёс.mp4", "Кот и пёс.mp4"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system.ini", "system.ini"),
        ("C:\\fakepath\\a.mp4", "a.mp4"),
        ("/etc/", None),
        ("..", None),
        (".", None),
        ("", None),
        (None, None),
        ("  \t", None),
        ("a\x00.mp4", "a�.mp4"),
        ("\x00", None),
        ("a\r\nSet-Cookie: b=c.mp4", "a�Set-Cookie: b=c.mp4"),
        ("a\u2028b\u2029c\x85d", "a�b�c�d"),
        (f"holiday{RTL}4pm.exe", "holiday�4pm.exe"),
        (f"{LRM}a{ISOLATE}{RTL}b", "�a�b"),
        ("\ud800a", "�a"),
        ("\x1b[31mred", "�[31mred"),
        ("گ\u200cگ.mp4", "گ\u200cگ.mp4"),
        (f"👩{ZWJ}💻.mp4", f"👩{ZWJ}💻.mp4"),
        ("e\u0301te\u0301.mp4", "été.mp4"),
        ("<script>alert(1)</script>.mp4", "script>.mp4"),
        ("<b>a.mp4", "<b>a.mp4"),
        ("x" * 4096, "x" * LONGEST),
        (" a.mp4 ", "a.mp4"),
    ],
)
def test_what_is_kept_of_a_name(sent: str | None, kept: str | None) -> None:
    assert clean_filename(sent) == kept


@given(st.text(alphabet=st.characters(), max_size=600))
def test_whatever_is_sent_nothing_of_it_acts(sent: str) -> None:
    kept = clean_filename(sent)
    if kept is None:
        return
    assert 0 < len(kept) <= LONGEST
    assert not {"/", "\\", "\x00", "\r", "\n"} & set(kept)
    unseen = {letter for letter in kept if unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
    assert unseen <= {"\u200c", "\u200d"}
    assert kept not in {".", ".."}
    assert clean_filename(kept) == kept
    encoded = encode_filename(kept)
    assert encoded.isascii()
    assert len(encoded) <= LONGEST_ENCODED
    assert kept.startswith(unquote(encoded, errors="strict"))


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("cats.mp4", 'attachment; filename="cats.mp4"'),
        ("my cat.mp4", 'attachment; filename="my cat.mp4"'),
        (None, "attachment"),
        ("кот.mp4", "attachment; filename=\"___.mp4\"; filename*=UTF-8''%D0%BA%D0%BE%D1%82.mp4"),
        ('a";b="c', "attachment; filename=\"a_;b=_c\"; filename*=UTF-8''a%22%3Bb%3D%22c"),
        ("50%.mp4", "attachment; filename=\"50_.mp4\"; filename*=UTF-8''50%25.mp4"),
        ("a\r\nX: b", "attachment; filename=\"a_X: b\"; filename*=UTF-8''a%EF%BF%BDX%3A%20b"),
        ("../a.mp4", 'attachment; filename="a.mp4"'),
    ],
)
def test_how_a_file_is_named_to_a_browser(name: str | None, header: str) -> None:
    assert content_disposition(name) == header


def test_a_browser_may_be_told_to_show_it() -> None:
    assert content_disposition("a.mp4", "inline") == 'inline; filename="a.mp4"'


@given(st.text(alphabet=st.characters(), max_size=300))
def test_every_name_comes_back_out_of_its_header(name: str) -> None:
    header = content_disposition(name)
    assert header.isascii()
    assert header.isprintable()
    _, _, extended = header.partition("filename*=UTF-8''")
    plain = re.search(r'filename="(.*?)"', header)
    read = unquote(extended, errors="strict") if extended else plain and plain[1]
    assert read == clean_filename(name)
    assert clean_filename(read_content_disposition(header)) == read


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="a.mp4"', "a.mp4"),
        ("attachment; filename=a.mp4", "a.mp4"),
        ('ATTACHMENT; FileName="a.mp4"', "a.mp4"),
        ('attachment; filename="a\\"b;c.mp4"', 'a"b;c.mp4'),
        ('attachment; filename="\xd0\xba\xd0\xbe\xd1\x82.mp4"', "кот.mp4"),
        ("attachment; filename=\"___.mp4\"; filename*=UTF-8''%D0%BA%D0%BE%D1%82.mp4", "кот.mp4"),
        ("attachment; filename*=utf-8'ru'%D0%BA%D0%BE%D1%82.mp4; filename=a.mp4", "кот.mp4"),
        ("attachment; filename*=ISO-8859-1''%A3.mp4", "£.mp4"),
        ("attachment; filename*=UTF-8''%FF.mp4", "\ufffd.mp4"),
        ("attachment; filename*=idna''a.mp4; filename=b.mp4", "b.mp4"),
        ("attachment; filename*=\x00''a.mp4", None),
        ("attachment; filename*=", None),
        ("; ;=;", None),
        ("inline", None),
        ("", None),
    ],
)
def test_how_a_program_names_a_file_to_us(header: str, name: str | None) -> None:
    assert read_content_disposition(header) == name


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=300))
def test_no_header_is_too_odd_to_be_read(header: str) -> None:
    clean_filename(read_content_disposition(f"attachment; filename{header}"))

"""What is kept of a file's name: a word for people, never a path, and harmless wherever it is shown.

A client may call its file anything. Kept is the last part of a path, in Unicode's composed form (NFC), at
most `LONGEST` characters. What does not show or changes how its neighbours show (control characters, NUL,
line ends, marks that turn the direction of writing, lone surrogates) becomes one `REPLACED` for each run of
it. The two joiners stay, because names in Persian and in emoji are not themselves without them. A name is
escaped where it is shown, as any text of a stranger: a quote or a `<` in it is left as it is.
"""

import re
import unicodedata
from email.message import Message
from typing import Final, Literal
from urllib.parse import quote

LONGEST: Final = 255
"""Characters of a name; no common file system has longer ones."""

LONGEST_ENCODED: Final = 1024
"""Bytes of a name in an object's metadata; S3 keeps 2 KB of those."""

REPLACED: Final = "\N{REPLACEMENT CHARACTER}"

_JOINERS: Final = frozenset("\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}")

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of what does not show: control, format, surrogate, line and paragraph separators."""

_ATTR_CHAR: Final = "!#$&+-.^_`|~"
"""What RFC 8187 leaves as it is, beside letters and digits."""

_CHARSETS: Final = frozenset({"utf-8", "iso-8859-1"})
"""Those of RFC 5987. Python knows others by name that are no charsets (`idna`, `zlib`)."""


def clean_filename(name: str | None) -> str | None:
    """Return what is kept of a file's name; None when nothing is.

    Args:
        name: as the client sent it, of any length and with anything in it.
    """
    last = re.split(r"[/\\]", name or "")[-1]
    seen = "".join(REPLACED if _is_unseen(letter) else letter for letter in last)
    kept = unicodedata.normalize("NFC", re.sub(f"{REPLACED}+", REPLACED, seen)).strip()[:LONGEST].strip()
    return None if kept in {"", ".", "..", REPLACED} else kept


def encode_filename(name: str) -> str:
    """Return a name that was kept as ASCII, percent-encoded, its end cut off where that is too long for S3.

    S3 keeps nothing else in an object's metadata.
    """
    encoded = ""
    for letter in name:
        encoded += quote(letter, safe="")
        if len(encoded) > LONGEST_ENCODED:
            return encoded[: -len(quote(letter, safe=""))]
    return encoded


def content_disposition(name: str | None, kind: Literal["attachment", "inline"] = "attachment") -> str:
    """Return the header `Content-Disposition` (RFC 6266) for a file of this name.

    Args:
        name: as a client sent it, or as it was kept.
        kind: whether a browser saves the file or may show it.
    """
    kept = clean_filename(name)
    if kept is None:
        return kind
    plain = re.sub(r"[^ !#-$&-\[\]-~]", "_", kept)
    header = f'{kind}; filename="{plain}"'
    return header if plain == kept else f"{header}; filename*=UTF-8''{quote(kept, safe=_ATTR_CHAR)}"


def read_content_disposition(header: str) -> str | None:
    """Return the file's name that a header `Content-Disposition` gives (RFC 6266), not cleaned yet.

    `filename*` goes before `filename`, wherever it stands.

    Args:
        header: its value, each byte a character, as HTTP has it. Names that are not encoded are UTF-8, which
            is what programs send.
    """
    parsed = Message()
    parsed["Content-Disposition"] = header
    found = parsed.get_params([], header="Content-Disposition")
    values = [value for name, value in found if name.lower() == "filename"]
    extended = [(value[0] or "", value[2]) for value in values if not isinstance(value, str)]
    plain = [("utf-8", value) for value in values if isinstance(value, str)]
    for charset, text in extended + plain:
        if charset.lower() in _CHARSETS:
            return text.encode("latin-1", "replace").decode(charset, "replace")
    return None


def _is_unseen(letter: str) -> bool:
    return unicodedata.category(letter) in _UNSEEN and letter not in _JOINERS

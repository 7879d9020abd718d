"""The states of a video in words, as clients see them, in English and Russian."""

from typing import Final, Literal, TypeAlias

Language: TypeAlias = Literal["ru", "en"]
ClientStatus: TypeAlias = Literal["new", "sent", "ready", "failed"]

SENTENCES: Final[dict[Language, dict[ClientStatus, str]]] = {
    "ru": {
        "new": "Новое событие создано, ожидает отправки в очередь",
        "sent": "Событие отправлено в очередь обработки",
        "ready": "Результат сохранён в S3 и готов к забору",
        "failed": "Обработка завершилась ошибкой",
    },
    "en": {
        "new": "New event created, waiting to be sent to the queue",
        "sent": "Event sent to the processing queue",
        "ready": "Result saved in S3 and ready to be fetched",
        "failed": "Processing failed",
    },
}


CANCELLED: Final[dict[Language, str]] = {
    "ru": "Видео отменено.",
    "en": "The video was cancelled.",
}
"""Why a video that was cancelled has no result."""


def describe(status: ClientStatus, language: Language, *, reason: str | None = None) -> str:
    """Return the sentence for a state; a failure's reason is appended where it is known."""
    sentence = SENTENCES[language][status]
    return f"{sentence}: {reason}" if reason and status == "failed" else sentence


def choose_language(accept_language: str | None, default: Language) -> Language:
    """Return the language a client likes best among ours (RFC 9110, section 12.5.4).

    Args:
        accept_language: the header's value; None or nothing usable gives the default.
        default: what the operator set.
    """
    best: tuple[float, Language] | None = None
    for item in (accept_language or "").split(","):
        name, _, weight = item.partition(";")
        primary = name.split("-")[0].strip().lower()
        quality = _quality(weight)
        if primary in ("ru", "en") and quality > 0 and (best is None or quality > best[0]):
            best = (quality, "ru" if primary == "ru" else "en")
    return best[1] if best else default


def _quality(weight: str) -> float:
    """Return a weight between 0 and 1; 0, which is "not acceptable", for what is none."""
    name, _, value = weight.partition("=")
    if not weight.strip():
        return 1.0
    try:
        quality = float(value) if name.strip().lower() == "q" else 0.0
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0

"""What the workers' own pages say, best effort. Knows httpx."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
import msgspec
from msgspec import Struct

from app.domain.messages import ModelFacts
from app.errors import Unavailable

WITHIN: Final = httpx.Timeout(15, connect=3)


@dataclass(frozen=True)
class Health:
    """What a process says of itself.

    Attributes:
        is_ready: whether it can work.
        checks: what it needs, and how that is.
        at: its clock, in whole seconds; None where it does not tell.
        version: of Kadr, where it tells.
        sandbox: what protects a runner from its decoders, where it is one.
    """

    is_ready: bool
    checks: Mapping[str, str]
    at: datetime | None
    version: str = ""
    sandbox: Mapping[str, str] = field(default_factory=dict)


class _Health(Struct):
    ready: bool
    checks: dict[str, str] = {}
    version: str = ""
    decoder_sandbox: dict[str, str] = {}


class _Inference(Struct):
    model: ModelFacts


def health_of(url: str) -> Health:
    """Return what a process of ours says of itself.

    Args:
        url: its address, without a slash at its end.

    Raises:
        Unavailable: it does not answer, or something else does.
    """
    try:
        headers = {"Accept": "application/json"}
        answer = httpx.get(f"{url}/health", timeout=WITHIN, trust_env=False, headers=headers)
        found = msgspec.json.decode(answer.content, type=_Health)
    except (httpx.HTTPError, httpx.InvalidURL, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unavailable(url, error) from error
    date = answer.headers.get("date")
    at = parsedate_to_datetime(date) if date else None
    return Health(found.ready, found.checks, at, found.version, found.decoder_sandbox)


def model_of(inference: str) -> ModelFacts | None:
    """Return the model that a worker uses; None when it is away or knows none yet.

    Args:
        inference: the worker's address, without a slash at its end.
    """
    try:
        # Proxies named in the environment are for the world outside.
        answer = httpx.get(f"{inference}/data", timeout=WITHIN, trust_env=False)
        return msgspec.json.decode(answer.content, type=_Inference).model if answer.is_success else None
    except (httpx.HTTPError, httpx.InvalidURL, msgspec.DecodeError, UnicodeDecodeError):
        return None

"""What a client says of a video that it submits, in a query and a form or in JSON, read within its bounds.

A query and a form give pairs of a name and a text, in JSON there are types. What is wrong is named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

import msgspec
from fastapi.exceptions import RequestValidationError
from pydantic import ConfigDict, Field, ValidationError

from api.intake.options import VideoOptions
from api.intake.webhook_url import check_webhook
from api.problems import Invalid

Pair: TypeAlias = tuple[str, str]
"""A name and a text, as a query or a form has them."""

R = TypeVar("R", bound=VideoOptions)

REPEATED: Final = frozenset({"classes", "tags"})
"""Fields that may be there several times in a query or a form: one value each."""

MAX_DIGITS: Final = 9
"""Longer numbers are no classes."""

SHOWN: Final = 64
"""Characters of a field's name that an answer repeats."""


class VideoRequest(VideoOptions):
    """A video that is in the object storage already, and what is chosen for it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"bucket": "videos", "object": "archive/street.mp4", "conf": 0.4, "tags": ["street"]}
            ]
        }
    )

    bucket: str | None = Field(None, description="One of the buckets that the operator allows.")
    object: str = Field(min_length=1, max_length=1024, description="The object's name in the bucket; no URL.")


class _FormOptions(VideoOptions):
    """What a query or a form may say."""

    bucket: str | None = None


@dataclass(frozen=True)
class Order:
    """What a client wants done with a video that it sends.

    Attributes:
        bucket: where the video is to be kept; None where the client leaves that to us.
        options: everything that it chose.
    """

    bucket: str | None
    options: VideoOptions


def read_pairs(pairs: Sequence[Pair]) -> Order:
    """Return what a query and a form say together.

    Raises:
        RequestValidationError: fields that are unknown or out of their bounds.
        Invalid: a field is there twice, or the webhook's address is none.
    """
    found: dict[str, Any] = {}
    for name, text in pairs:
        if name in REPEATED:
            found.setdefault(name, []).append(_number(text) if name == "classes" else text)
        elif name in found:
            raise Invalid(name[:SHOWN], "is there twice")
        else:
            found[name] = _decoded(text) if name == "preprocess" else text
    try:
        read = _FormOptions.model_validate(found)
    except ValidationError as error:
        raise out_of_bounds(error) from error
    _check(read)
    return Order(read.bucket, read)


def read_request(body: bytes, as_type: type[R]) -> R:
    """Return what a body in JSON says.

    Raises:
        RequestValidationError: it is no JSON, or fields are missing, unknown or out of their bounds.
        Invalid: the webhook's address is none.
    """
    try:
        read = as_type.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise out_of_bounds(error) from error
    _check(read)
    return read


def out_of_bounds(error: ValidationError) -> RequestValidationError:
    """Return what is told of fields that are out of their bounds: each of them by its name."""
    found = {
        (_field_of(item["loc"])[:SHOWN], item["msg"]): None
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    }
    return RequestValidationError([{"loc": ("body", name), "msg": message} for name, message in found])


def _field_of(place: tuple[int | str, ...]) -> str:
    """The field's name, without what pydantic calls the sides of a union."""
    if not place:
        return "body"
    first, last = str(place[0]), str(place[-1])
    return f"{first}.{last}" if first == "preprocess" and last not in {first, "on", "off"} else first


def _check(options: VideoOptions) -> None:
    if options.webhook is not None:
        check_webhook(options.webhook)


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS else text


def _decoded(text: str) -> object:
    if text == "off":
        return False
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):  # the second: brackets within brackets
        return text

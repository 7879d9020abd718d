"""What a client may choose for one video, within which bounds, and what of it travels to the agents."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from api.intake.webhook_url import LONGEST
from app.domain.messages import Options, Preprocess

MOST_TAGS: Final = 20
MOST_CLASSES: Final = 100
"""They travel with each frame."""

DEFAULT: Final = Options()


def _odd(value: int) -> int:
    if value and value % 2 == 0:
        raise PydanticCustomError("odd", "Input should be odd, or 0")
    return value


def _tag(value: str) -> str:
    if not value.isprintable() or value != value.strip():
        raise PydanticCustomError("tag", "A tag has printable characters only, and no space at its ends")
    return value


class PreprocessOptions(BaseModel):
    """What is done to a picture before the model sees it."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    blur: Annotated[int, AfterValidator(_odd)] = Field(
        default=3, ge=0, le=31, description="Kernel of a Gaussian blur in pixels, odd; 0 and 1 are none."
    )
    alpha: float = Field(default=1.3, ge=0, le=4, description="What each value is multiplied with.")
    beta: float = Field(default=5, ge=-255, le=255, description="What is added then; the sum saturates.")


def _is_on(value: object) -> str:
    return "off" if value is False else "on"


PreprocessChoice: TypeAlias = Annotated[
    Annotated[PreprocessOptions, Tag("on")] | Annotated[Literal[False], Tag("off")], Discriminator(_is_on)
]
ClassChoice: TypeAlias = (
    Annotated[int, Field(ge=0, le=9999)] | Annotated[str, Field(min_length=1, max_length=100)]
)
TagChoice: TypeAlias = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_tag)]


class VideoOptions(BaseModel):
    """What may be chosen for one video; names and defaults as Ultralytics has them."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    conf: float = Field(default=0.25, ge=0, le=1, description="Least confidence of a detection.")
    iou: float = Field(
        default=0.45, ge=0, le=1, description="Overlap above which the weaker of two boxes is dropped."
    )
    vid_stride: int = Field(default=5, ge=1, le=10_000, description="Every how manieth frame is looked at.")
    classes: list[ClassChoice] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_CLASSES,
        description="Names or numbers of the classes that are looked for; all of them if absent. "
        "In a query or a form digits are a number.",
    )
    max_det: int = Field(default=300, ge=1, le=3000, description="Most detections in one frame.")
    imgsz: int = Field(
        default=640,
        ge=32,
        le=1280,
        multiple_of=32,
        description="Longest side of the picture that the model sees.",
    )
    preprocess: PreprocessChoice = Field(
        default=PreprocessOptions(),
        description="What is done to a picture before; `false` is nothing. In a query or a form as JSON.",
    )
    start: float | None = Field(
        default=None, ge=0, le=1e7, description="Seconds, before which nothing is looked at."
    )
    end: float | None = Field(
        default=None,
        gt=0,
        le=1e7,
        description="Seconds, from which on nothing is looked at; more than `start`.",
    )
    tags: list[TagChoice] = Field(
        default=[],
        max_length=MOST_TAGS,
        description="Words to find the video by; 1 to 64 printable characters each.",
    )
    webhook: str | None = Field(
        default=None,
        max_length=LONGEST,
        description="Address (http, https) that is told what came of the video.",
        json_schema_extra={"format": "uri", "pattern": "^https?://[!-~]+$"},
    )

    @field_validator("end")
    @classmethod
    def _is_after_start(cls, end: float | None, info: ValidationInfo) -> float | None:
        start = info.data.get("start")
        if end is not None and start is not None and end <= start:
            raise PydanticCustomError("end", "Input should be greater than start")
        return end

    @field_validator("tags")
    @classmethod
    def _is_unique(cls, tags: list[str]) -> list[str]:
        if len(set(tags)) < len(tags):
            raise PydanticCustomError("tags", "A tag is there twice")
        return tags


def to_message(options: VideoOptions) -> Options:
    """Return what travels to the agents: all but tags and webhook."""
    chosen = options.model_dump(include=set(Options.__struct_fields__))
    if options.classes is not None:
        chosen["classes"] = tuple(options.classes)
    if options.preprocess:
        given = chosen["preprocess"]
        chosen["preprocess"] = Preprocess(**given | {"blur": max(1, given["blur"])})
    # What is like a default is left out in messages only if it is the default itself.
    return Options(**{name: value for name, value in chosen.items() if value != getattr(DEFAULT, name)})

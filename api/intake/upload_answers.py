"""What is said about direct uploads, for the OpenAPI document and for reading what clients send."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.intake.options import VideoOptions
from api.openapi.answers import EVENT_ID

URLS_AT_ONCE = 100
"""URLs in one answer: some 60 kB."""

MOST_NAMED = 800
"""Parts that a client may name when it completes: more do not fit into a request."""

MOST_PARTS = 10_000
"""S3 takes no more."""

LARGEST = 5 << 40
"""Bytes: S3's largest object."""

_URL = f"http://127.0.0.1:9000/videos/input/{EVENT_ID}.mp4?X-Amz-Algorithm=AWS4-HMAC-SHA256&…"
_HEADERS: JsonDict = {"Content-Type": "video/mp4", "If-None-Match": "*", "x-amz-meta-kadr-upload": "1"}


class WantedUpload(VideoOptions):
    """A file that a client will send to the object storage itself, and what is chosen for it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"filename": "street.mp4", "size": 3670016, "content_type": "video/mp4"},
                {"filename": "street.mp4", "size": 3670016, "conf": 0.4, "tags": ["street"]},
            ]
        },
    )

    size: int = Field(
        strict=True, ge=1, le=LARGEST, description="Bytes, exactly: nothing else can be sent then."
    )
    filename: str | None = Field(None, max_length=1024, description="As people call it; kept as data.")
    content_type: str = Field("video/mp4", max_length=100)
    bucket: str | None = Field(None, description="One of the buckets that the operator allows.")


class Put(BaseModel):
    """A request that the client makes: `PUT` with these headers, and the bytes as its body."""

    url: str = Field(examples=[_URL])
    headers: dict[str, str] = Field(
        description="To be sent as they are, besides `Content-Length`, which is signed too.",
        examples=[_HEADERS],
    )
    size: int = Field(description="Bytes of the body.", examples=[3670016])


class PartPut(Put):
    """A part, counted from 1."""

    number: int = Field(examples=[1])


class BegunUpload(BaseModel):
    """Where the bytes go. `upload_id` is also the id of the video that the upload will be."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "upload_id": EVENT_ID,
                    "video_id": EVENT_ID,
                    "method": "single",
                    "bucket": "videos",
                    "object": f"input/{EVENT_ID}.mp4",
                    "size": 3670016,
                    "expires_at": "2026-10-06T12:00:00Z",
                    "urls_expire_at": "2026-10-05T13:00:00Z",
                    "put": {"url": _URL, "headers": _HEADERS, "size": 3670016},
                }
            ]
        },
    )

    upload_id: str = Field(examples=[EVENT_ID])
    video_id: str = Field(examples=[EVENT_ID])
    method: Literal["single", "multipart"] = Field(
        description="`single`: one request, `put`. `multipart`: `part_count` requests, `parts` first."
    )
    bucket: str = Field(examples=["videos"])
    object: str = Field(examples=[f"input/{EVENT_ID}.mp4"])
    size: int = Field(examples=[3670016])
    expires_at: datetime = Field(description="When the upload is given up if it is not completed.")
    urls_expire_at: datetime = Field(description="Until when a request must have begun.")
    put: Put | None = None
    part_size: int | None = Field(None, description="Bytes of each part but the last.", examples=[16777216])
    part_count: int | None = Field(None, examples=[3])
    parts: list[PartPut] | None = None


class WantedParts(BaseModel):
    """Which parts URLs are wanted for."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"first": 101, "count": 100}]})

    first: int = Field(ge=1, le=MOST_PARTS)
    count: int = Field(URLS_AT_ONCE, ge=1, le=URLS_AT_ONCE)


class Parts(BaseModel):
    """URLs of parts."""

    upload_id: str = Field(examples=[EVENT_ID])
    expires_at: datetime
    urls_expire_at: datetime
    parts: list[PartPut]


class SentPart(BaseModel):
    """A part that the client has sent, and the `ETag` of the answer."""

    model_config = ConfigDict(extra="forbid")

    number: int = Field(ge=1, le=MOST_PARTS)
    etag: Annotated[str, Field(min_length=1, max_length=200)]


class CompletedUpload(BaseModel):
    """What the client has sent. It may say nothing: then what has arrived is taken, if it is all there."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{}, {"parts": [{"number": 1, "etag": "9bb58f26192e4ba00f01e2e7b136bbd8"}]}]
        },
    )

    parts: list[SentPart] | None = Field(None, max_length=MOST_NAMED)

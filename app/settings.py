"""What an operator may change: one frozen object, read once from the environment and passed in."""

import os
import sys
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.domain.sentences import Language
from app.errors import EXIT_MISCONFIGURED

Precision: TypeAlias = Literal["f32", "bf16", "int8"]
"""How a model computes: as it was trained, rounded to bf16, or in integers of 8 bits after a calibration."""

FEWEST_OPEN = 8
"""Videos that are decoded in turns where there are fewer cores than that: no long one holds up the others."""

DEFAULT_SECRETS = frozenset({"minioadmin", "password"})
"""Secrets that everybody knows; each one in use is a warning at start."""


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def _plain_seconds(value: object) -> object:
    """Take `900` as seconds: as a text, which every environment variable is, pydantic reads it as days."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Duration = Annotated[timedelta, BeforeValidator(_plain_seconds)]


class Settings(BaseSettings):
    """Every setting with its default; the environment variable is the name in capitals.

    Durations are given in seconds (`REDRIVE_AFTER=900`) or in ISO 8601 (`PT15M`).
    """

    model_config = SettingsConfigDict(frozen=True, env_file=None, extra="ignore", env_ignore_empty=True)

    # Servers
    kafka_bootstrap_servers: str = "kafka:9092"
    mongo_uri: SecretStr = SecretStr("mongodb://admin:password@mongo:27017/")
    runner_mongo_uri: SecretStr = SecretStr("mongodb://admin:password@mongo:27017/")
    minio_endpoint: str = "minio:9000"
    minio_access_key: str = "minioadmin"
    minio_secret_key: SecretStr = SecretStr("minioadmin")
    minio_secure: bool = False
    minio_region: str = "us-east-1"
    outbox_url: str = "http://outbox_worker:8001"
    runner_url: str = "http://runner:8002"

    # Storage
    buckets: Annotated[tuple[str, ...], NoDecode] = ("videos",)
    data_dir: Path = Path(".data")

    # Streams
    topic_replication_factor: int = Field(default=1, ge=1)
    video_partitions: int = Field(default=12, ge=1)
    task_partitions: int = Field(default=24, ge=1)
    session_timeout: Duration = Field(default=_seconds(30), ge=_seconds(6))
    tasks_waiting: int = Field(default=64, ge=1)
    web_bind: str = "127.0.0.1"

    # Outbox
    outbox_retries: int = Field(default=5, ge=1)
    outbox_lease: Duration = Field(default=_seconds(60), ge=_seconds(1))
    redrive_after: Duration = Field(default=timedelta(minutes=15), ge=_seconds(1))
    stall_after: Duration = Field(default=timedelta(minutes=5), ge=_seconds(1))
    tombstone_days: int = Field(default=14, ge=1)

    # Decoding
    open_videos: int = Field(default=0, ge=0)
    split_lease: Duration = Field(default=_seconds(15), ge=_seconds(1))
    decoder_memory: int = Field(default=2 << 30, ge=256 << 20)
    decoder_stall: Duration = Field(default=_seconds(60), ge=_seconds(1))
    max_pixels: int = Field(default=8192 * 4320, ge=1)
    max_frames: int = Field(default=10_000_000, ge=1)
    max_duration: Duration = Field(default=timedelta(hours=48), ge=_seconds(1))

    # Model
    model: str = ""
    imgsz: int = Field(default=640, ge=32, le=4096)
    batch_size: int = Field(default=8, ge=1, le=256)
    model_download: bool = True
    detector_precision: Precision = "f32"

    # API
    api_url: str = "http://127.0.0.1:8080"
    default_language: Language = "ru"
    max_upload_bytes: int = Field(default=20 << 30, ge=1)

    # Logs
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"

    @field_validator("buckets", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        """Take `BUCKETS=videos,archive` as two names."""
        return (
            tuple(name.strip() for name in value.split(",") if name.strip())
            if isinstance(value, str)
            else value
        )

    @property
    def videos_at_once(self) -> int:
        """Videos that one runner decodes in turns: as many as it has cores, unless that is said."""
        return self.open_videos or max(FEWEST_OPEN, len(os.sched_getaffinity(0)))

    @cached_property
    def default_secrets(self) -> tuple[str, ...]:
        """Names of the settings that still hold a secret that everybody knows."""
        found = []
        if self.minio_secret_key.get_secret_value() in DEFAULT_SECRETS:
            found.append("MINIO_SECRET_KEY")
        for name, uri in (("MONGO_URI", self.mongo_uri), ("RUNNER_MONGO_URI", self.runner_mongo_uri)):
            if ":password@" in uri.get_secret_value():
                found.append(name)
        return tuple(found)


def load_settings() -> Settings:
    """Return the settings of the environment; end the process with one line for each that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            name = ".".join(map(str, each["loc"])).upper()
            print(f"The setting {name} is wrong: {each['msg']}", file=sys.stderr)  # noqa: T201 - no log yet
        sys.exit(EXIT_MISCONFIGURED)

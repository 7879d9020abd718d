"""What an operator may change: one frozen object, read once from the environment and passed in."""

import os
import re
import sys
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.domain.precision import Precision
from app.domain.receivers import check_allowed, read_receiver
from app.domain.sentences import Language
from app.domain.webhooks import check_secrets
from app.errors import EXIT_MISCONFIGURED, Rejected

KeyRule: TypeAlias = Literal["auto", "required", "off"]
"""When the API asks for a key: where it is reached from other machines, always, never."""

PUBLIC_ENDPOINT = r"^((https?://)?([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?/?)?$"
"""A host, with a port or without, and maybe how it is spoken to; nothing is added to a path."""

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


def _in_small_letters(value: str) -> str:
    """Take a SHA-256 as any program prints it, or none.

    Raises:
        ValueError: it is cut off, or something else.
    """
    digest = value.strip().lower()
    if digest and not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError("it must be a whole SHA-256, 64 hexadecimal digits")
    return digest


Digest = Annotated[str, AfterValidator(_in_small_letters)]


def _as_webhook_secrets(value: SecretStr) -> SecretStr:
    """Take secrets of Standard Webhooks, separated by spaces, the newest first; or none.

    Raises:
        ValueError: one of them is none.
    """
    check_secrets(value.get_secret_value())
    return value


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
    retention_days: int = Field(default=0, ge=0)
    min_free_bytes: int = Field(default=1 << 30, ge=0)

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
    max_streams: int = Field(default=64, ge=1)
    max_size_changes: int = Field(default=100, ge=0)
    max_frame_rate: float = Field(default=1000, gt=0)
    decoder_cpu: float = Field(default=60, gt=0)
    decoder_cpu_least: Duration = Field(default=timedelta(minutes=10), ge=_seconds(0))
    decoder_wall: Duration = Field(default=timedelta(hours=48), gt=_seconds(0))

    # Renderings
    frame_within: Duration = Field(default=_seconds(20), gt=_seconds(0))
    rendering_bytes: int = Field(default=8 << 30, ge=1 << 20)
    rendering_wall: Duration = Field(default=timedelta(hours=12), gt=_seconds(0))

    # Model
    model: str = ""
    imgsz: int = Field(default=640, ge=32, le=4096)
    batch_size: int = Field(default=8, ge=1, le=256)
    model_download: bool = True
    model_sha256: Digest = ""
    detector_precision: Precision = "f32"

    # API
    api_url: str = "http://127.0.0.1:8080"
    default_language: Language = "ru"
    max_upload_bytes: int = Field(default=20 << 30, ge=1)
    max_uploads: int = Field(default=16, ge=1)
    upload_idle: Duration = Field(default=_seconds(60), ge=_seconds(1))
    upload_rate: int = Field(default=2048, ge=1)
    upload_within: Duration = Field(default=timedelta(hours=24), ge=_seconds(1))
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ("localhost", "127.0.0.1", "[::1]", "api_checkout")
    api_keys: KeyRule = "auto"
    api_published: str = ""
    s3_public_endpoint: str = Field(default="", pattern=PUBLIC_ENDPOINT)

    # Webhooks
    webhook_secret: Annotated[SecretStr, AfterValidator(_as_webhook_secrets)] = SecretStr("")
    webhook_url: str = ""
    webhook_allowed_hosts: Annotated[tuple[Annotated[str, AfterValidator(check_allowed)], ...], NoDecode] = ()

    # Logs
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"

    # Traces
    otel_exporter_otlp_endpoint: str = ""

    @field_validator("buckets", "allowed_hosts", "webhook_allowed_hosts", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        """Take `BUCKETS=videos,archive` as two names."""
        return (
            tuple(name.strip() for name in value.split(",") if name.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("webhook_url")
    @classmethod
    def _read_webhook_url(cls, value: str, others: ValidationInfo) -> str:
        """Take a URL that messages can be posted to, and signed for; or none.

        Raises:
            ValueError: it is none, or there is no secret.
        """
        if not value:
            return value
        try:
            read_receiver(value)
        except Rejected as error:
            raise ValueError(f"it {error.reason}") from error
        if not others.data.get("webhook_secret", SecretStr("")).get_secret_value():
            raise ValueError("it needs WEBHOOK_SECRET")
        return value

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """What messages to receivers are signed with, the newest first."""
        return check_secrets(self.webhook_secret.get_secret_value())

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

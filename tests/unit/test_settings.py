"""What an operator sets is read as it is meant, and nonsense is refused."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from app.settings import Settings


@pytest.fixture(autouse=True)
def _no_settings_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_without_an_environment_the_compose_stack_is_meant() -> None:
    settings = Settings()
    assert settings.kafka_bootstrap_servers == "kafka:9092"
    assert settings.minio_endpoint == "minio:9000"
    assert settings.mongo_uri.get_secret_value() == "mongodb://admin:password@mongo:27017/"
    assert settings.default_language == "ru"
    assert settings.buckets == ("videos",)


@pytest.mark.parametrize(
    ("text", "duration"), [("900", 900), ("1.5", 1.5), ("PT15M", 900), ("00:15:00", 900)]
)
def test_durations_are_seconds_or_iso_8601(
    monkeypatch: pytest.MonkeyPatch, text: str, duration: float
) -> None:
    monkeypatch.setenv("REDRIVE_AFTER", text)
    assert Settings().redrive_after == timedelta(seconds=duration)


def test_buckets_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKETS", "videos, archive,")
    assert Settings().buckets == ("videos", "archive")


def test_an_empty_variable_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "")
    assert Settings().kafka_bootstrap_servers == "kafka:9092"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VIDEO_PARTITIONS", "0"),
        ("BATCH_SIZE", "many"),
        ("REDRIVE_AFTER", "0"),
        ("DEFAULT_LANGUAGE", "de"),
        ("LOG_LEVEL", "LOUD"),
        ("IMGSZ", "16"),
    ],
)
def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_settings_do_not_change_while_a_process_runs() -> None:
    with pytest.raises(ValidationError):
        Settings().batch_size = 3


def test_secrets_that_everybody_knows_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().default_secrets == ("MINIO_SECRET_KEY", "MONGO_URI", "RUNNER_MONGO_URI")
    monkeypatch.setenv("MINIO_SECRET_KEY", "s3cr3t")
    monkeypatch.setenv("MONGO_URI", "mongodb://app:s3cr3t@mongo/")
    monkeypatch.setenv("RUNNER_MONGO_URI", "mongodb://app:s3cr3t@mongo/")
    assert Settings().default_secrets == ()


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIO_SECRET_KEY", "s3cr3t")
    monkeypatch.setenv("MONGO_URI", "mongodb://app:s3cr3t@mongo/")
    assert "s3cr3t" not in repr(Settings())

"""What an operator sets is read as it is meant, and nonsense is refused."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from app.settings import Settings, load_settings
from tests.support.local_receiver import WHSEC


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


def test_names_of_the_api_are_separated_by_commas_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().allowed_hosts == ("localhost", "127.0.0.1", "[::1]", "api_checkout")
    monkeypatch.setenv("ALLOWED_HOSTS", "kadr.example.org, *.lan")
    assert Settings().allowed_hosts == ("kadr.example.org", "*.lan")


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


def test_secrets_of_webhooks_are_separated_by_spaces_and_shown_to_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = WHSEC.replace("MfKQ", "AAAA")
    monkeypatch.setenv("WEBHOOK_SECRET", f"{WHSEC} {other}")
    settings = Settings()
    assert settings.webhook_secrets == (WHSEC, other)
    assert "MfKQ" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEBHOOK_SECRET", "whsec_tooshort"),
        ("WEBHOOK_URL", "https://hooks.example.org"),
        ("WEBHOOK_URL", "hooks.example.org"),
        ("WEBHOOK_ALLOWED_HOSTS", "10.0.0.0/33"),
    ],
)
def test_a_webhook_that_cannot_work_ends_the_process_with_a_line_that_repeats_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load_settings()
    said = capsys.readouterr().err
    assert said.startswith(f"The setting {name}")
    assert "tooshort" not in said


def test_receivers_that_are_allowed_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().webhook_allowed_hosts == ()
    monkeypatch.setenv("WEBHOOK_ALLOWED_HOSTS", "hooks.lan, 10.0.0.0/8")
    assert Settings().webhook_allowed_hosts == ("hooks.lan", "10.0.0.0/8")

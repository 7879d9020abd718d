"""Settings that an operator may not have meant."""

from collections.abc import Iterator

from app.cli.doctor.findings import Finding, ok, unknown, warning, wrong
from app.settings import Settings

LOOPBACK = ("", "127.0.0.1", "::1", "localhost")
"""Addresses that only this machine reaches; where none is said, the API asks the connection."""


def look_at_choices(settings: Settings) -> Iterator[Finding]:
    """Look at the settings alone; nothing is asked of anybody."""
    found = [*_secrets(settings), *_doors(settings), *_keeping(settings)]
    yield from found or [ok("settings", "none that is known to do harm")]


def _secrets(settings: Settings) -> Iterator[Finding]:
    for name in settings.default_secrets:
        yield warning(
            "settings", f"{name} is a default that everybody knows", f"choose a secret of your own for {name}"
        )


def _doors(settings: Settings) -> Iterator[Finding]:
    if settings.api_keys == "off" and settings.api_published not in LOOPBACK:
        yield wrong(
            "settings",
            f"API_KEYS=off, and the API is published on {settings.api_published}: whoever reaches it "
            "sees and deletes every video",
            "set API_KEYS=auto and make keys with `kadr keys create`",
        )
    if settings.web_bind not in LOOPBACK:
        yield unknown(
            "settings",
            f"WEB_BIND={settings.web_bind}: the workers' pages ask for no password, and it is not "
            "seen here who reaches them",
            "let nobody but the API reach the ports 8001 to 8004, as docker-compose.yml and the Kubernetes "
            "manifests do",
        )


def _keeping(settings: Settings) -> Iterator[Finding]:
    if settings.session_timeout >= settings.stall_after:
        yield wrong(
            "settings",
            "STALL_AFTER is not longer than SESSION_TIMEOUT: frames on their way would be looked for",
            "set STALL_AFTER to several times SESSION_TIMEOUT",
        )
    if settings.retention_days and settings.webhook_url and not settings.webhook_secrets:
        yield warning("settings", "there are webhooks and no WEBHOOK_SECRET", "set WEBHOOK_SECRET")

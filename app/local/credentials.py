"""Secrets of the local servers: generated once, kept in the data folder, readable by their owner only."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from app.local.failures import FileDamaged

SECRET_BYTES = 24
"""192 bits: far beyond guessing, and short enough for every server's limit on a password."""


@dataclass(frozen=True)
class Credentials:
    """What the local servers ask for; the secrets stay out of `repr`."""

    mongo_user: str
    mongo_password: str = field(repr=False)
    s3_access_key: str
    s3_secret_key: str = field(repr=False)
    s3_signing_key: str = field(repr=False)


def load_credentials(path: Path) -> Credentials:
    """Read the credentials, or generate them where there are none; two stacks that race get the same.

    Raises:
        FileDamaged: the file is there but is not what was written.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        _create(path)
        text = path.read_text(encoding="utf-8")
    try:
        return Credentials(**json.loads(text))
    except (ValueError, TypeError) as cause:
        raise FileDamaged(path, cause, "restore it, or start with an empty DATA_DIR") from cause


def _create(path: Path) -> None:
    """Write new credentials unless somebody else was faster."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123 - only open() takes a descriptor
        json.dump(asdict(_generate()), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    try:
        # A link, unlike a rename, never replaces: whoever comes second reads what the first one wrote.
        path.hardlink_to(fresh)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


def _generate() -> Credentials:
    return Credentials(
        mongo_user="kadr",
        mongo_password=secrets.token_urlsafe(SECRET_BYTES),
        s3_access_key=secrets.token_hex(10),
        s3_secret_key=secrets.token_urlsafe(SECRET_BYTES),
        s3_signing_key=secrets.token_urlsafe(SECRET_BYTES),
    )

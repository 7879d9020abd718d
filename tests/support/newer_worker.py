"""A worker of a release to come: whatever it writes has a field that today's readers do not know.

Run as `faust -A tests.support.newer_worker worker` with the role in `NEWER_ROLE`.
"""

import importlib
import os

import msgspec
from msgspec import Struct

from app.domain import messages

FIELD = "of_a_later_release"


def encode(message: Struct) -> bytes:
    """Return a message as JSON, with one field more."""
    fields = msgspec.to_builtins(message)
    fields[FIELD] = {"a": [1, None, "b"]}
    return msgspec.json.encode(fields)


if role := os.environ.get("NEWER_ROLE"):
    messages.encode = encode  # before anybody else imports it from there
    app = importlib.import_module(f"app.roles.{role}").worker

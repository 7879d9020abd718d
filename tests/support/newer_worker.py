"""A worker of a release to come: whatever it writes has a field that today's readers do not know.

Run as `faust -A tests.support.newer_worker worker` with the role in `NEWER_ROLE`.
"""

import importlib
import os

import msgspec
from msgspec import Struct

from app.domain import messages


def encode(message: Struct) -> bytes:
    """Return a message as JSON, with one field more."""
    fields = msgspec.to_builtins(message)
    fields["of_a_later_release"] = {"a": [1, None, "b"]}
    return msgspec.json.encode(fields)


# Before anybody else imports it from there.
messages.encode = encode

app = importlib.import_module(f"app.roles.{os.environ['NEWER_ROLE']}").worker

"""The servers of these tests are their own: they are killed and frozen here."""

from collections.abc import Iterator

import pytest

from app.local.stack import LocalStack
from tests.support.stack import open_servers


@pytest.fixture(scope="session")
def servers() -> Iterator[LocalStack]:
    with open_servers() as stack:
        yield stack

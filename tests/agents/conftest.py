"""What several stages need to run alone."""

import pytest

from tests.support.results import Results


@pytest.fixture
def results() -> Results:
    return Results()

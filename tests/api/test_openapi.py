"""The OpenAPI document changes only on purpose: it is what clients are generated from.

    RENEW=1 .venv/bin/python -m pytest tests/api/test_openapi.py

writes what it is now to `tests/api/openapi.json`; look at the difference, and commit it with the change.
"""

import json
import os
from pathlib import Path
from typing import Any, Final

from tests.api.conftest import Door

SNAPSHOT: Final = Path(__file__).with_name("openapi.json")

HOW: Final = "the document has changed: RENEW=1 .venv/bin/python -m pytest tests/api/test_openapi.py"


def written(document: dict[str, Any]) -> str:
    """In an order that does not depend on that of the routes, one thing a line."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


async def test_the_document_is_the_one_that_was_looked_at(door: Door) -> None:
    document = (await door.client.get("/openapi.json")).json()
    if os.environ.get("RENEW"):
        SNAPSHOT.write_text(written(document), encoding="utf-8")
    assert written(document).splitlines() == SNAPSHOT.read_text(encoding="utf-8").splitlines(), HOW


async def test_a_submission_is_described_with_its_three_bodies_and_examples(door: Door) -> None:
    document = (await door.client.get("/openapi.json")).json()
    call = document["paths"]["/api/v1/videos"]["post"]
    bodies = call["requestBody"]["content"]
    assert list(bodies) == ["multipart/form-data", "video/*", "application/json"]
    assert bodies["application/json"]["schema"]["examples"]
    assert bodies["multipart/form-data"]["examples"]
    fields = bodies["multipart/form-data"]["schema"]["properties"].keys() - {"file"}
    query = {each["name"] for each in call["parameters"] if each["in"] == "query"}
    assert fields == query >= {"conf", "classes", "preprocess", "tags", "webhook", "bucket"}
    assert [each["name"] for each in call["parameters"] if each["in"] == "header"] == ["Idempotency-Key"]
    assert {"202", "409", "415", "422", "429"} <= call["responses"].keys()
    assert call["responses"]["202"]["headers"].keys() == {"Location", "Idempotent-Replayed"}
    assert "$defs" not in json.dumps(document)

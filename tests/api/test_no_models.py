"""Weights are code: none comes in through the API."""

import re
from collections.abc import Iterator
from typing import Any

from tests.api.conftest import Door

MODEL_WORDS = re.compile(r"model|weight|checkpoint|pickle|onnx|openvino|torch", re.IGNORECASE)


def inputs(document: dict[str, Any]) -> Iterator[str]:
    """Every name under which a client may send something: paths, parameters, fields of bodies."""
    for path, item in document["paths"].items():
        yield path
        for operation in (value for value in item.values() if isinstance(value, dict)):
            yield from (parameter["name"] for parameter in operation.get("parameters", []))
            for body in operation.get("requestBody", {}).get("content", {}).values():
                yield from fields(body.get("schema", {}), document)


def fields(schema: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    """The names in a schema and in those that it refers to."""
    if reference := schema.get("$ref"):
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    for name, inner in schema.get("properties", {}).items():
        yield name
        yield from fields(inner, document)
    for key in ("anyOf", "oneOf", "allOf"):
        for inner in schema.get(key, []):
            yield from fields(inner, document)
    if isinstance(schema.get("items"), dict):
        yield from fields(schema["items"], document)


async def test_no_route_takes_a_model(door: Door) -> None:
    named = set(inputs((await door.client.get("/openapi.json")).json()))
    assert {"file", "bucket", "object", "media_type", "video_id"} <= named
    assert sorted(name for name in named if MODEL_WORDS.search(name)) == []


async def test_a_request_that_names_a_model_all_the_same_is_refused_or_does_not_see_it(door: Door) -> None:
    await door.put("archive/street.mp4", b"bytes")
    asked = {"bucket": "videos", "object": "archive/street.mp4", "media_type": "video"}
    answer = await door.client.post(
        "/api/request", json=asked | {"model": "http://elsewhere.example/evil.pt"}
    )
    assert answer.status_code in {200, 422}
    assert not [each for each in door.videos.documents.values() if MODEL_WORDS.search(str(each))]

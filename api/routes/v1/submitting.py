"""How a video may be submitted, for the OpenAPI document: FastAPI cannot see what we read ourselves."""

from typing import Any, Final

from api.intake.options import PreprocessOptions, VideoOptions
from api.intake.orders import VideoRequest
from api.intake.upload import DEFAULT_BUCKET

Schema = dict[str, Any]

_BUCKET: Final[Schema] = {
    "type": "string",
    "default": DEFAULT_BUCKET,
    "description": "One of the buckets that the operator allows.",
}


def _inlined(schema: Any, definitions: Schema) -> Any:  # noqa: ANN401  # JSON
    """A schema without references: those of pydantic lead to a place that the document does not have."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            named = definitions[schema["$ref"].rpartition("/")[2]]
            return _inlined(
                named | {key: value for key, value in schema.items() if key != "$ref"}, definitions
            )
        return {key: _inlined(value, definitions) for key, value in schema.items() if key != "$defs"}
    return [_inlined(each, definitions) for each in schema] if isinstance(schema, list) else schema


def schema_of(model: type[VideoOptions]) -> Schema:
    """Return what JSON may say."""
    schema = model.model_json_schema()
    inlined: Schema = _inlined(schema, schema.get("$defs", {}))
    return inlined


OPTIONS: Final[Schema] = schema_of(VideoOptions)["properties"]
REQUEST: Final[Schema] = schema_of(VideoRequest)


def _as_text(name: str) -> Schema:
    """An option as a query has it: there is no null, and what has parts is JSON."""
    if name == "preprocess":
        return {"type": "string", "description": OPTIONS[name]["description"]}
    schema = dict(OPTIONS[name])
    some: Schema = next(each for each in schema.pop("anyOf", [{}]) if each.get("type") != "null")
    return some | {key: value for key, value in schema.items() if value is not None}


def _parameter(name: str, schema: Schema) -> Schema:
    inner = {key: value for key, value in schema.items() if key != "description"}
    return {"name": name, "in": "query", "description": schema["description"], "schema": inner}


_TEXTS: Final[Schema] = {name: _as_text(name) for name in OPTIONS} | {"bucket": _BUCKET}

PARAMETERS: Final = [_parameter(name, schema) for name, schema in _TEXTS.items()]
"""Options in the query, with a video as the body or in a form."""

_PREPROCESS: Final = PreprocessOptions().model_dump_json()

BODY: Final[Schema] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "additionalProperties": False,
                "properties": {
                    "file": {"type": "string", "format": "binary", "description": "The video."},
                    **_TEXTS,
                },
            },
            "examples": {
                "with options": {
                    "value": {
                        "file": "(bytes)",
                        "conf": 0.4,
                        "classes": ["car", "person"],
                        "tags": ["street"],
                    }
                }
            },
        },
        "video/*": {"schema": {"type": "string", "format": "binary"}},
        "application/json": {"schema": REQUEST},
    },
}
"""A form, a video as it is, or the name of a stored one."""

"""The OpenAPI document as a page for people, written here: no script, and nothing from another host.

FastAPI's own pages load their programs from a content network, which no machine behind a closed door reaches,
and they would run in the origin of an API that trusts whoever reaches it.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from api.headers import NOTHING

router = APIRouter(include_in_schema=False)

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
h2 { border-top: 1px solid #8888; padding-top: 1rem; }
code, pre { font: 14px/1.4 ui-monospace, monospace; }
pre { background: #8882; overflow: auto; padding: .5rem; }
td { padding: .1rem 1rem .1rem 0; vertical-align: top; }
"""

_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_POLICY: Final = NOTHING.replace(";", f"; style-src 'sha256-{_STYLE_HASH}';", 1)


@router.get("/docs")
@router.get("/redoc")
async def show_reference(request: Request) -> HTMLResponse:
    """Show every call."""
    document = request.app.openapi()
    page = "\n".join(_page(document, request.scope.get("root_path", "") + request.app.openapi_url))
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})


def _page(document: dict[str, Any], source: str) -> Iterator[str]:
    info = document["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
    yield f"<h1>{title}</h1><p>{escape(info['description'])}"
    yield f"<p>For programs: <a href='{escape(source)}'>{escape(source)}</a> (OpenAPI)."
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            yield from _call(f"{method.upper()} {path}", call)
    yield "<h2>Schemas</h2>"
    for name, schema in document["components"]["schemas"].items():
        yield f"<h3 id='{escape(name)}'>{escape(name)}</h3>{_json(schema)}"


def _call(name: str, call: dict[str, Any]) -> Iterator[str]:
    yield f"<h2><code>{escape(name)}</code></h2><p><b>{escape(call['summary'])}.</b>"
    yield escape(call.get("description", ""))
    if parameters := call.get("parameters"):
        yield "<h3>Parameters</h3>" + _json(parameters)
    if body := call.get("requestBody"):
        yield "<h3>Body</h3>" + _json(body["content"])
    yield "<h3>Answers</h3><table>"
    for status, answer in call["responses"].items():
        schemas = ", ".join(_schemas(answer.get("content", {})))
        yield f"<tr><td>{escape(status)}<td>{escape(answer['description'])}<td>{schemas}"
    yield "</table>"


def _schemas(content: dict[str, Any]) -> Iterator[str]:
    for kind in content.values():
        for each in kind["schema"].get("anyOf", [kind["schema"]]):
            name = each.get("$ref", "").rpartition("/")[2]
            if name:
                yield f"<a href='#{escape(name)}'>{escape(name)}</a>"


def _json(value: object) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"

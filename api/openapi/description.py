"""The OpenAPI document: what it says of the API as a whole, and what FastAPI says that is not so."""

from typing import Any, Final

from fastapi import FastAPI

from api.problems import MEDIA_TYPE

DESCRIPTION: Final = """
Finds objects in stored videos: upload a video, get back which objects are in it, where and in which frame.
Every error is a problem detail (RFC 9457) of media type `application/problem+json`.
Where the API is reached from other machines it asks for an API key; with one, a client sees its own videos.
"""

TAGS: Final = [
    {"name": "videos", "description": "What is to be done: upload, request, delete."},
    {"name": "direct uploads", "description": "Files that go to the object storage without the API."},
    {"name": "results", "description": "What came of it."},
    {"name": "media", "description": "The video itself, its frames, and what is made of it to look at."},
    {"name": "webhooks", "description": "Who is told, and whether it arrived."},
    {"name": "sessions", "description": "Who asks; and how a browser need not keep a key."},
    {"name": "health checks", "description": "Whether the service lives and whether it can work."},
]

FASTAPIS_OWN: Final = ("HTTPValidationError", "ValidationError")
"""FastAPI documents these for every call that has a parameter, also one that takes any text. What cannot be
accepted is answered with a problem here, and calls that may answer so say it."""


class Described(FastAPI):
    """FastAPI, whose document tells errors as they are: as problems, and in their own media type."""

    def openapi(self) -> dict[str, Any]:
        """Return the document."""
        document = super().openapi()
        for calls in document["paths"].values():
            for call in calls.values():
                _correct(call["responses"])
        for name in FASTAPIS_OWN:
            document["components"]["schemas"].pop(name, None)
        return document


def _correct(answers: dict[str, Any]) -> None:
    for status, answer in list(answers.items()):
        content = answer.get("content", {})
        if MEDIA_TYPE in content:
            content.pop("application/json", None)
        elif any(FASTAPIS_OWN[0] in str(kind) for kind in content.values()):
            del answers[status]

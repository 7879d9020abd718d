"""The page for people, served to whoever asks."""

from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from api.headers import PAGE
from api.page_files import DOCUMENT, FILES, PREFIX, PageFile

router = APIRouter(include_in_schema=False)

METHODS: Final = ["GET", "HEAD"]


@router.api_route("/", methods=METHODS)
async def show_page(request: Request) -> Response:
    """Show the page."""
    return _answer(request, DOCUMENT)


@router.api_route(PREFIX + "{name:path}", methods=METHODS)
async def show_file(request: Request, name: str) -> Response:
    """Send a file that the page is made of."""
    found = FILES.get(name)
    if found is None:
        raise HTTPException(404, "The page has no such file.")
    return _answer(request, found)


def _answer(request: Request, file: PageFile) -> Response:
    """Return a file, or that the browser has it; it asks each time, so that a new release shows at once."""
    headers = {"Cache-Control": "no-cache", "ETag": file.tag, "Content-Security-Policy": PAGE}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if file.tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(file.body, headers=headers, media_type=file.media_type)

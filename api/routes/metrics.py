"""The API's numbers, for Prometheus."""

from fastapi import APIRouter, Request, Response

from api.access.keys import Administers
from app.telemetry.exposition import MEDIA_TYPE, Exposition

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def show_metrics(request: Request, _caller: Administers) -> Response:
    """Return every number of this process. Where a key is needed, one with the scope `admin` is."""
    shown: Exposition = request.app.state.exposition
    return Response(shown.render(), media_type=MEDIA_TYPE)

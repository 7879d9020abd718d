"""Whether the API lives, and whether it can work."""

from importlib.metadata import PackageNotFoundError, version
from typing import Final

from fastapi import APIRouter, Response

from api.dependencies import Served
from api.openapi.answers import Health
from api.problems import documented, problem
from api.transport.json_response import JsonResponse

router = APIRouter(tags=["health checks"])


def _version() -> str:
    try:
        return version("kadr")
    except PackageNotFoundError:
        return "0+checkout"  # run from a checkout that was never installed


VERSION: Final = _version()


@router.get("/health", response_model=Health, summary="Health", responses=documented())
@router.get("/api/health", response_model=Health, summary="Health", responses=documented())
@router.get("/api/", response_model=Health, summary="Health", responses=documented())
@router.get("/api", response_model=Health, summary="Health", responses=documented())
async def show_health(services: Served) -> Response:
    """Answer 200 as long as the process lives; `ready` says whether Mongo and S3 answer."""
    readiness = services.readiness
    body = {
        "status": "ok",
        "service": "api",
        "version": VERSION,
        "live": True,
        "ready": readiness.is_ready,
        "checks": readiness.checks,
    }
    return JsonResponse(body)


@router.get("/health/live", response_model=Health, summary="Liveness", responses=documented())
async def show_liveness(services: Served) -> Response:
    """Answer 200 as long as the process lives."""
    return await show_health(services)


@router.get("/health/ready", response_model=Health, summary="Readiness", responses=documented())
async def show_readiness(services: Served) -> Response:
    """Answer 200 when Mongo and S3 answer, else 503."""
    if services.readiness.is_ready:
        return await show_health(services)
    away = "; ".join(f"{name}: {found}" for name, found in services.readiness.checks.items() if found != "ok")
    return problem(503, code="unavailable", detail=away)

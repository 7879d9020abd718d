"""Deliveries of webhooks: listed, and asked for again; and what signs them."""

from typing import Annotated

from fastapi import APIRouter, FastAPI, Query, Request, Response

from api.access.keys import Caller, Reads, Submits
from api.dependencies import Served, Services
from api.problems import UnknownVideo, documented, problem
from api.webhooks.answers import Deliveries, ShownDelivery, WebhookSecrets, shown
from app.clients.main_db.webhook_deliveries import LISTED
from app.domain.webhooks import Signer, State
from app.errors import KadrError, Missing

router = APIRouter(prefix="/api/v1", tags=["webhooks"])


class NoSecret(Missing):
    """There is nothing that signs for the caller."""

    def __init__(self) -> None:
        super().__init__("A secret of your own")


class UnderWay(KadrError):
    """A try of this delivery is being made just now."""


@router.get(
    "/videos/{video_id}/deliveries",
    summary="What became of a video's webhook",
    responses=documented(401, 403, 404),
)
async def list_deliveries(video_id: str, services: Served, caller: Reads) -> Deliveries:
    """List the messages about a video, newest first, each with its tries."""
    await _require(services, caller, video_id)
    return Deliveries(deliveries=[shown(each) for each in await services.deliveries.of(video_id)])


@router.post(
    "/videos/{video_id}/deliveries/{delivery_id}/redeliver",
    status_code=202,
    summary="Deliver a message again",
    responses=documented(401, 403, 404, 409, codes=("under_way",)),
)
async def redeliver(video_id: str, delivery_id: str, services: Served, caller: Submits) -> ShownDelivery:
    """Have a message posted once more, at once, whatever became of it, with all its tries if need be.

    It is the same message: same `webhook-id`, same body. 409 while a try is under way.
    """
    await _require(services, caller, video_id)
    delivery = await services.deliveries.again(video_id, delivery_id)
    if delivery is not None:
        return shown(delivery)
    if await services.deliveries.get(video_id, delivery_id) is None:
        raise UnknownVideo(video_id)
    raise UnderWay


@router.get(
    "/webhooks/deliveries",
    summary="Deliveries that wait or were given up",
    responses=documented(401, 403, 422),
)
async def list_all_deliveries(
    services: Served,
    caller: Reads,
    status: State = "failed",
    limit: Annotated[int, Query(ge=1, le=LISTED)] = LISTED,
) -> Deliveries:
    """List the newest deliveries of all videos in one state; with a key, of its own ones."""
    found = await services.deliveries.in_state(status, owner=caller.sees, limit=limit)
    return Deliveries(deliveries=[shown(each) for each in found])


@router.get(
    "/webhooks/secret",
    summary="What signs your messages",
    responses=documented(401, 403, 404),
)
async def show_secret(services: Served, caller: Submits) -> WebhookSecrets:
    """Show the secrets that sign the messages about the videos of your key.

    Without a key there are none of your own (404): then `WEBHOOK_SECRET` itself signs.
    """
    found = Signer(services.settings.webhook_secrets).secrets_of(caller.id) if caller.id else ()
    if not found:
        raise NoSecret
    return WebhookSecrets(secrets=list(found))


def install(api: FastAPI) -> None:
    """Answer what only happens here with a problem."""
    api.add_exception_handler(UnderWay, _on_under_way)


async def _require(services: Services, caller: Caller, video_id: str) -> None:
    if await services.outbox.get(video_id, owner=caller.sees) is None:
        raise UnknownVideo(video_id)


async def _on_under_way(_: Request, __: Exception) -> Response:
    detail = "A try of this delivery is under way; see what comes of it."
    return problem(409, code="under_way", detail=detail)

"""What is said about webhooks: deliveries, their tries, and the secrets that sign them."""

from datetime import datetime

from pydantic import BaseModel, Field

from api.openapi.answers import EVENT_ID
from app.clients.main_db.webhook_deliveries import Delivery, Try
from app.domain.webhooks import State

DELIVERY_ID = "msg_0f8a4c55d1e0c8d0a4b7f113f2b8c1e6"


class TryMade(BaseModel):
    """One try to deliver a message."""

    at: datetime = Field(description="When it began.")
    seconds: float = Field(description="How long it took.", examples=[0.182])
    status: int | None = Field(description="HTTP status of the answer, if there was one.", examples=[503])
    error: str | None = Field(
        description="Why there was no answer.", examples=["It did not answer within 15 s."]
    )
    response: str = Field(description="How the answer's body begins.", examples=["try again later"])


class ShownDelivery(BaseModel):
    """A message about a video, and what came of it."""

    id: str = Field(description="The header `webhook-id`, the same at every try.", examples=[DELIVERY_ID])
    video_id: str = Field(examples=[EVENT_ID])
    type: str = Field(examples=["video.ready"])
    url: str = Field(examples=["https://hooks.example.org/kadr"])
    status: State = Field(description="`waiting`: there will be another try. `failed`: there will be none.")
    created_at: datetime
    ended_at: datetime | None = Field(description="When it was delivered or given up.")
    next_try_at: datetime | None = Field(
        description="When the next try is; null if there is none, or it goes on."
    )
    is_trying: bool = Field(description="Whether a try is under way.")
    tries: list[TryMade] = Field(description="The last 20, oldest first.")


class Deliveries(BaseModel):
    """Deliveries, newest first."""

    deliveries: list[ShownDelivery]


class WebhookSecrets(BaseModel):
    """What signs the messages about a key's videos."""

    secrets: list[str] = Field(
        description="The newest first. While there are several, every message has a signature of each.",
        examples=[["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]],
    )


def shown(delivery: Delivery) -> ShownDelivery:
    """Return a delivery as clients see it."""
    is_trying = delivery.trying_since is not None
    is_waiting = delivery.state == "waiting" and not is_trying
    return ShownDelivery(
        id=delivery.id,
        video_id=delivery.video_id,
        type=delivery.type,
        url=delivery.url,
        status=delivery.state,
        created_at=delivery.created_at,
        ended_at=delivery.ended_at,
        next_try_at=delivery.due_at if is_waiting else None,
        is_trying=is_trying,
        tries=[_shown_try(each) for each in delivery.tries],
    )


def _shown_try(made: Try) -> TryMade:
    return TryMade(at=made.at, seconds=made.seconds, status=made.status, error=made.error, response=made.text)

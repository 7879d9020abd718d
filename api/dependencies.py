"""The clients that a request uses; `api.main` opens them."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from api.access.key_ring import KeyRing
from api.intake.room import Room
from api.lifecycle.looks import Looks
from api.lifecycle.outcomes import Outcomes
from api.lifecycle.watches import Watches
from api.readiness import Readiness
from api.results.derived import Derivations
from api.transport.pace import Places
from app.clients.direct_uploads import DirectUploads
from app.clients.idempotency import IdempotencyKeys
from app.clients.key_usage import KeyUsage
from app.clients.presigned import Presigner
from app.clients.renderer import Renderer
from app.clients.sessions import Sessions
from app.clients.storage import Storage
from app.clients.video_outbox import VideoOutbox
from app.clients.wake import Waker
from app.clients.webhook_deliveries import WebhookDeliveries
from app.domain.sentences import Language, choose_language
from app.settings import Settings


@dataclass(frozen=True)
class Services:
    """Everything that a request may use."""

    settings: Settings
    storage: Storage
    outbox: VideoOutbox
    outcomes: Outcomes
    readiness: Readiness
    waker: Waker
    places: Places
    keys: KeyRing
    usage: KeyUsage
    direct: DirectUploads
    presigner: Presigner
    looks: Looks
    watches: Watches
    deliveries: WebhookDeliveries
    idempotency: IdempotencyKeys
    derivations: Derivations
    export_places: Places
    renderer: Renderer
    room: Room
    sessions: Sessions


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Served = Annotated[Services, Depends(_services)]
"""The services, as a parameter of a call."""


def _language(
    services: Served, accept_language: Annotated[str | None, Header(max_length=1000)] = None
) -> Language:
    return choose_language(accept_language, services.settings.default_language)


Spoken = Annotated[Language, Depends(_language)]
"""The language that the client wants, as a parameter of a call."""

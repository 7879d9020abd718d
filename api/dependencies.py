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
from app.clients.http.renderer import Renderer
from app.clients.http.wake import Waker
from app.clients.main_db.direct_uploads import DirectUploads
from app.clients.main_db.idempotency import IdempotencyKeys
from app.clients.main_db.key_usage import KeyUsage
from app.clients.main_db.sessions import Sessions
from app.clients.main_db.video_outbox import VideoOutbox
from app.clients.main_db.webhook_deliveries import WebhookDeliveries
from app.clients.s3.presigned import Presigner
from app.clients.s3.storage import Storage
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

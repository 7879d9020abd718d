"""The role that publishes what the API accepted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agents import outbox
from agents.gauges import follow_outbox
from app.clients.main_db.claims import Claims
from app.clients.main_db.video_outbox import video_outbox
from app.clients.mongo import Mongo, open_mongo
from app.metrics_page import attach_metrics
from app.pages import attach_pages
from app.settings import Settings, load_settings
from app.worker import create_worker


@dataclass(frozen=True)
class Clients:
    """What the outbox needs: main_db."""

    mongo: Mongo
    claims: Claims


@asynccontextmanager
async def open_clients(settings: Settings) -> AsyncIterator[Clients]:
    """Open main_db."""
    async with open_mongo(settings.mongo_uri) as mongo:
        opened = video_outbox(mongo, settings)
        await opened.prepare()
        yield Clients(mongo, opened.claims)


worker = create_worker(
    "outbox",
    load_settings(),
    open_clients,
    topic_disable_leader=False,  # an agent on a channel does not start without the leader topic
    producer_request_timeout=30,  # the document stays; the next round sends it again
)
outbox.attach(worker)
attach_pages(worker, checks=lambda: {"mongo": worker.clients.mongo.ping})
attach_metrics(worker, "outbox")
follow_outbox(worker)

app = worker
"""The name that `faust -A` looks for."""

"""Which pictures of which video go to Kafka, and when: read beside the workers, from now on."""

import time
from dataclasses import dataclass

from aiokafka import ConsumerRecord

from app.settings import Settings
from app.topics import INFERENCE_TASKS
from tests.support.topic_log import TopicLog


@dataclass
class Sent:
    """What was sent of one attempt at a video.

    Attributes:
        count: of its pictures, those that came twice included.
        last: when the last one was sent, in seconds since the epoch, as its sender's clock says.
    """

    count: int = 0
    last: float = 0.0


class TaskLog(TopicLog):
    """Reads `inference_tasks` in a thread.

    Attributes:
        sent: by video and attempt.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, [INFERENCE_TASKS])
        self.sent: dict[tuple[str, int], Sent] = {}

    def of(self, video_id: str, attempt: int = 1) -> Sent:
        """Return what was sent of an attempt so far."""
        return self.sent.get((video_id, attempt), Sent())

    def note(self, record: ConsumerRecord) -> None:
        """Count a picture."""
        video_id, attempt, _ = (record.key or b"").decode().split("/")
        found = self.sent.setdefault((video_id, int(attempt)), Sent())
        found.count += 1
        found.last = max(found.last, record.timestamp / 1000)


def wait_past(seconds: float, since: float) -> None:
    """Return so many seconds after a moment (since the epoch), for what must not happen until then."""
    while (left := since + seconds - time.time()) > 0:
        time.sleep(min(left, 0.1))

"""Every fault there is."""

from tests.faults import (
    cancel_faults,
    child_faults,
    client_faults,
    commit_faults,
    disk_faults,
    kafka_loss_faults,
    message_faults,
    process_faults,
    server_faults,
)
from tests.faults.fault import Fault

CATALOG: tuple[Fault, ...] = (
    *process_faults.FAULTS,
    *server_faults.FAULTS,
    *commit_faults.FAULTS,
    *child_faults.FAULTS,
    *disk_faults.FAULTS,
    *client_faults.FAULTS,
    *cancel_faults.FAULTS,
    *kafka_loss_faults.FAULTS,
    *message_faults.FAULTS,
)

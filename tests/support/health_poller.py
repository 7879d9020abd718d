"""Asks for the API's health again and again, in a process of its own, and says how long the answers took."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

_SCRIPT = """
import http.client, json, select, sys, time

connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
delays = []
print("begun", flush=True)
while len(delays) < 50 or not select.select([sys.stdin], [], [], 0.01)[0]:
    begun = time.perf_counter()
    connection.request("GET", "/api/health")
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    delays.append(time.perf_counter() - begun)
print(json.dumps(delays))
"""


@dataclass
class Delays:
    """Seconds that each answer took; known when the polling has ended."""

    seconds: list[float] = field(default_factory=list)

    @property
    def p99(self) -> float:
        """What 99 in a hundred of them did not exceed."""
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)]


@contextlib.contextmanager
def polled_health(port: int) -> Iterator[Delays]:
    """Poll until the end of the block; every answer has to be 200."""
    delays = Delays()
    command = [sys.executable, "-c", _SCRIPT, str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield delays
        finally:
            shown, _ = process.communicate(timeout=20)
    assert process.returncode == 0, "a health check was not answered"
    delays.seconds = json.loads(shown)

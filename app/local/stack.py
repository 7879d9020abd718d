"""`LocalStack`: servers and processes on this machine, started, watched and stopped as one thing."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from subprocess import Popen
from types import TracebackType
from typing import Final, Self

from app.errors import Unavailable
from app.local.credentials import Credentials, load_credentials
from app.local.failures import NameUnknown, NotReady, ProgramRefused, SupervisorGone
from app.local.folder import DataFolder
from app.local.kafka import create_kafka, fetch_jars, load_lock
from app.local.mongo import create_mongo, ensure_user, mongo_uri
from app.local.ports import Ports, require_free
from app.local.processes import create_processes
from app.local.program import Program, last_line
from app.local.s3 import create_s3
from app.local.supervision import ProgramStatus, Supervisor, launch_supervisor, write_configuration

SERVERS: Final = ("kafka", "mongo", "s3")
"""The names of the servers; the setting beside each says where the operator's own one is."""

SETTING_OF_SERVER: Final = {"kafka": "KAFKA_BOOTSTRAP_SERVERS", "mongo": "MONGO_URI", "s3": "MINIO_ENDPOINT"}

READY_SECONDS: Final = 180.0
"""How long a stack may take to get ready: most of it is a cold disk reading the model's libraries."""

MOST_ENDS: Final = 5
"""A program that has ended so often while it alone was waited for will not get ready: a library is missing,
or a file is damaged. Fewer may be an accident, such as a port that is just being given back."""

_POLL_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class LocalStack:
    """One stack on one data folder. As a context manager it is prepared and started, and stopped at the end.

    Attributes:
        folder: where everything is kept.
        ports: what it listens on.
        given: the environment of whoever starts it; the servers named there are used, not started.
        cache: where jars are kept, shared by all stacks.
        processes: Kadr's own processes; a test may give others.
        only: the names of the programs that entering the context starts; None means all.
    """

    folder: DataFolder
    ports: Ports
    given: Mapping[str, str] = field(repr=False)
    cache: Path
    processes: tuple[Program, ...]
    only: tuple[str, ...] | None = None
    _children: list[Popen[bytes]] = field(default_factory=list, repr=False, compare=False)
    _wanted: set[str] = field(default_factory=set, repr=False, compare=False)

    @classmethod
    def from_environment(
        cls,
        given: Mapping[str, str] | None = None,
        *,
        data_dir: Path | None = None,
        ports: Ports | None = None,
        processes: tuple[Program, ...] | None = None,
        only: tuple[str, ...] | None = None,
    ) -> Self:
        """The stack that the environment describes: `DATA_DIR`, `KADR_CACHE`, ports, servers of one's own."""
        given = dict(os.environ if given is None else given)
        root = data_dir or Path(given.get("DATA_DIR") or ".data")
        folder = DataFolder(root.expanduser().absolute())
        ports = ports or Ports.from_environment(given)
        cache = Path(given.get("KADR_CACHE") or "~/.cache/kadr").expanduser().absolute()
        processes = create_processes(folder, ports) if processes is None else processes
        return cls(folder=folder, ports=ports, given=given, cache=cache, processes=processes, only=only)

    def __enter__(self) -> Self:
        self.prepare()
        self.start(only=self.only)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def local_servers(self) -> tuple[str, ...]:
        """The servers that are ours to run, because the environment names no others."""
        return tuple(name for name in SERVERS if not self.given.get(SETTING_OF_SERVER[name]))

    @property
    def names(self) -> tuple[str, ...]:
        """Every program of this stack."""
        return (*self.local_servers, *(program.name for program in self.processes))

    @property
    def supervisor(self) -> Supervisor:
        """The control of what runs; it works from any process."""
        return Supervisor(self.folder)

    @cached_property
    def credentials(self) -> Credentials:
        """The secrets of the local servers, generated when they are first asked for."""
        self.folder.create()
        return load_credentials(self.folder.credentials)

    @cached_property
    def jars(self) -> list[Path]:
        """Kafka's class path, fetched where it is missing."""
        return fetch_jars(self.cache / "kafka", load_lock())

    def prepare(self) -> None:
        """Fetch and generate what the programs need; starts nothing and may be repeated."""
        self.folder.create()
        if set(self.local_servers) & {"mongo", "s3"}:
            _ = self.credentials
        if "kafka" in self.local_servers:
            _ = self.jars

    def start(self, *, only: Collection[str] | None = None) -> None:
        """Start the programs named in `only`, or all; the others can be started later.

        Raises:
            FolderInUse: another stack runs on this folder.
            PortTaken: somebody else listens on a port that is needed.
            NameUnknown: `only` names no program of this stack.
        """
        wanted = self._known(self.names if only is None else only)
        self.folder.create()
        lock = self.folder.hold()
        try:
            servers = self._create_servers()
            programs = [program for program in (*servers, *self.processes) if program.name in wanted]
            require_free(listening for program in programs for listening in program.listens)
            if "mongo" in wanted:
                mongo = self.folder.server("mongo")
                ensure_user(folder=mongo, port=self.ports.mongo, credentials=self.credentials)
            write_configuration(self.folder, servers=servers, processes=self.processes, autostart=wanted)
            environment = {**self.given, **self.environment()}
            self._children.append(launch_supervisor(self.folder, lock=lock, environment=environment))
        finally:
            os.close(lock)
        with contextlib.ExitStack() as undo:
            undo.callback(self.stop)
            self._wait_for_supervisor()
            undo.pop_all()
        self._wanted.clear()
        self._wanted.update(wanted)

    def wait_ready(self, timeout: float = READY_SECONDS, *, only: Collection[str] | None = None) -> None:
        """Return when every program that this object started, or those in `only`, says that it is ready.

        Raises:
            NotReady: one was not ready within `timeout` seconds, or ends again and again.
            ProgramRefused: one ended because an operator has to act.
            SupervisorGone: the stack was stopped meanwhile.
        """
        deadline = time.monotonic() + timeout
        probes = {program.name: program.probe for program in (*self._create_servers(), *self.processes)}
        names = self._wanted if only is None else self._known(only)
        for name in sorted(names, key=self.names.index):
            pids: set[int] = set()
            while (cause := self._look(name, probes[name], pids)) is not None:
                if time.monotonic() > deadline:
                    raise NotReady(name, cause=cause, log=self.folder.log(name))
                time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Stop everything and return when no process is left; nothing happens when nothing runs.

        What this object did not start itself is stopped too, unless this object had started a stack and
        somebody else has stopped that one and begun another on the same folder.
        """
        if all(child.poll() is None for child in self._children):
            self.supervisor.shut_down()
        while self._children:
            self._children.pop().wait()
        if not self.folder.is_held():
            self.folder.remove_sockets()

    def status(self) -> tuple[ProgramStatus, ...]:
        """What the supervisor knows of each program.

        Raises:
            SupervisorGone: nothing runs on this folder.
        """
        return self.supervisor.status()

    def environment(self) -> dict[str, str]:
        """The settings that lead Kadr's processes, or a test, to this stack's servers."""
        found = {
            "DATA_DIR": str(self.folder.root),
            "API_URL": f"http://127.0.0.1:{self.ports.api}",
            "OUTBOX_URL": f"http://127.0.0.1:{self.ports.outbox}",
            "RUNNER_URL": f"http://127.0.0.1:{self.ports.runner}",
            "PYTHONUNBUFFERED": "1",
            "YOLO_CONFIG_DIR": str(self.folder.root / "ultralytics"),
            "YOLO_AUTOINSTALL": "false",
            "YOLO_OFFLINE": str(self.given.get("MODEL_DOWNLOAD", "true").lower() in _FALSE).lower(),
        }
        if "kafka" in self.local_servers:
            found["KAFKA_BOOTSTRAP_SERVERS"] = f"127.0.0.1:{self.ports.kafka}"
        found["MONGO_URI"] = self.given.get("MONGO_URI") or mongo_uri(self.ports.mongo, self.credentials)
        found["RUNNER_MONGO_URI"] = self.given.get("RUNNER_MONGO_URI") or found["MONGO_URI"]
        if "s3" in self.local_servers:
            found["MINIO_ENDPOINT"] = f"127.0.0.1:{self.ports.s3}"
            found["MINIO_ACCESS_KEY"] = self.credentials.s3_access_key
            found["MINIO_SECRET_KEY"] = self.credentials.s3_secret_key
            found["MINIO_SECURE"] = "false"
        return found

    def pid_of(self, name: str) -> int:
        """The process id of a program, or 0 when it does not run now."""
        self._known([name])
        return next(now.pid for now in self.status() if now.name == name)

    def kill_program(self, name: str) -> int:
        """Kill a program and its children without warning; answers the pid that it had."""
        return self._signal(name, signal.SIGKILL)

    def freeze_program(self, name: str) -> int:
        """Let a program hang where it is, until it is thawed."""
        return self._signal(name, signal.SIGSTOP)

    def thaw_program(self, name: str) -> int:
        """Let a frozen program go on."""
        return self._signal(name, signal.SIGCONT)

    def start_program(self, name: str) -> None:
        """Start a program that does not run; it need not be ready on return."""
        self._wanted.update(self._known([name]))
        self.supervisor.start_program(name)

    def stop_program(self, name: str) -> None:
        """Stop a program in order; it stays stopped."""
        self._wanted.difference_update(self._known([name]))
        self.supervisor.stop_program(name)

    def restart_program(self, name: str) -> None:
        """Stop a program in order and start it again; it need not be ready on return."""
        self.stop_program(name)
        self.start_program(name)

    def _signal(self, name: str, number: signal.Signals) -> int:
        pid = self.pid_of(name)
        if pid:
            # The supervisor gives each program a process group of its own.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)
        return pid

    def _known(self, names: Collection[str]) -> set[str]:
        for name in names:
            if name not in self.names:
                raise NameUnknown(name, self.names)
        return set(names)

    def _create_servers(self) -> tuple[Program, ...]:
        folder, ports = self.folder, self.ports
        found: list[Program] = []
        if "kafka" in self.local_servers:
            found.append(create_kafka(folder=folder.server("kafka"), jars=self.jars, ports=ports))
        if "mongo" in self.local_servers:
            mongo = folder.server("mongo")
            found.append(create_mongo(folder=mongo, ports=ports, credentials=self.credentials))
        if "s3" in self.local_servers:
            s3 = folder.server("s3")
            found.append(
                create_s3(folder=s3, sockets=folder.sockets, ports=ports, credentials=self.credentials)
            )
        return tuple(found)

    def _look(self, name: str, probe: Callable[[], None], pids: set[int]) -> Unavailable | None:
        """Say why a program is not ready; the id of its process is added to `pids`, those that it has had."""
        now = next(now for now in self.status() if now.name == name)
        log = self.folder.log(name)
        if now.has_refused:
            raise ProgramRefused(name, last_line=last_line(log), log=log)
        pids.update({now.pid} - {0})
        if len(pids) > MOST_ENDS:
            cause = f"it has ended {MOST_ENDS} times, saying last: {last_line(log)}"
            raise NotReady(name, cause=cause, log=log)
        try:
            probe()
        except Unavailable as cause:
            return cause
        return None

    def _wait_for_supervisor(self) -> None:
        process = self._children[-1]
        while True:
            try:
                self.status()
            except SupervisorGone:
                if process.poll() is not None:
                    log = self.folder.log("supervisord-start")
                    raise SupervisorGone(self.folder.root, last_line(log)) from None
                time.sleep(_POLL_SECONDS)
            else:
                return


_FALSE = frozenset({"0", "false", "no", "off"})

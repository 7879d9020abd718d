"""The supervisor's configuration and its control socket."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.errors import EXIT_MISCONFIGURED
from app.local.failures import SupervisorGone
from app.local.folder import DataFolder, write_private
from app.local.program import Program

SERVERS: Final = "servers"
"""The group that stops last, because a worker hands its partitions over while it stops."""

PROCESSES: Final = "processes"
"""The group that stops first."""

_HEAD = """\
[unix_http_server]
file={control}
chmod=0700

[supervisord]
nodaemon=true
silent=true
nocleanup=true
logfile={log}
logfile_maxbytes=5MB
logfile_backups=2
childlogdir={logs}
pidfile={pid}
identifier=kadr

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

# `startsecs=0` counts every start as a success, so that the supervisor restarts for ever and at once; the
# launcher holds back after a quick failure. Supervisor's own pause grows by a second with each failure.
_PROGRAM = """
[program:{name}]
command={command}
autostart={autostart}
autorestart=unexpected
exitcodes={misconfigured}
startsecs=0
startretries=1000000
stopsignal=TERM
stopwaitsecs={stop_wait}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""

_GROUP = """
[group:{name}]
programs={programs}
priority={priority}
"""

_GONE_SECONDS = 60
"""Longer than both groups may take to stop."""


@dataclass(frozen=True, kw_only=True)
class ProgramStatus:
    """What the supervisor knows of one program.

    Attributes:
        name: as in `Program`.
        state: the supervisor's word in small letters: `running`, `stopped`, `stopping`, `exited`, …
        pid: its process id, or 0 when it does not run.
        exit_status: of its last end.
        uptime: seconds since its last start, or 0 when it does not run.
    """

    name: str
    state: str
    pid: int
    exit_status: int
    uptime: int

    @property
    def has_refused(self) -> bool:
        """Whether it ended because an operator has to act; it is not started again by itself."""
        return self.state == "exited" and self.exit_status == EXIT_MISCONFIGURED


def write_configuration(
    folder: DataFolder,
    *,
    servers: Sequence[Program],
    processes: Sequence[Program],
    autostart: Collection[str],
) -> None:
    """Write the supervisor's configuration and one launch file per program."""
    head = {"control": folder.control, "log": folder.log("supervisord"), "pid": folder.pid}
    text = _HEAD.format(
        **{name: _escape(path) for name, path in head.items()}, logs=_escape(folder.root / "log")
    )
    for program in (*servers, *processes):
        text += _program_section(folder, program, is_started=program.name in autostart)
    for name, programs, priority in ((SERVERS, servers, 10), (PROCESSES, processes, 20)):
        if programs:
            names = ",".join(program.name for program in programs)
            text += _GROUP.format(name=name, programs=names, priority=priority)
    write_private(folder.configuration, text)


@dataclass(frozen=True)
class Supervisor:
    """The supervisor of one data folder, spoken to through its socket: from any process, at any time."""

    folder: DataFolder

    def status(self) -> tuple[ProgramStatus, ...]:
        """Every program, in the order of the configuration.

        Raises:
            SupervisorGone: it does not run.
        """
        with self._call() as supervisor:
            return tuple(_status_of(found) for found in supervisor.getAllProcessInfo())

    def start_program(self, name: str) -> None:
        """Start one program now, without the launcher's pause; nothing happens when it runs."""
        self.folder.launch_file(name).with_suffix(".started").unlink(missing_ok=True)
        with self._call() as supervisor, _tolerate(_ALREADY_STARTED):
            supervisor.startProcess(self._full_name(supervisor, name), False)  # noqa: FBT003 - XML-RPC knows no names

    def stop_program(self, name: str) -> None:
        """Stop one program and return when it is gone; nothing happens when it does not run."""
        with self._call() as supervisor, _tolerate(_NOT_RUNNING):
            supervisor.stopProcess(self._full_name(supervisor, name), True)  # noqa: FBT003 - XML-RPC knows no names

    def shut_down(self) -> None:
        """Stop everything, the supervisor too, and return when all of it is gone.

        A supervisor that does not end in time is killed, and its programs with it.
        """
        deadline = time.monotonic() + _GONE_SECONDS
        while self.folder.is_held():
            # Asked again each time: a stack that is just starting has no socket yet.
            with contextlib.suppress(SupervisorGone), self._call() as supervisor:
                supervisor.shutdown()
            if time.monotonic() > deadline:
                self._kill()
            time.sleep(_POLL_SECONDS)

    @contextlib.contextmanager
    def _call(self) -> Iterator[Any]:
        # Only the extra `local` has it; the command line also works where nothing is run.
        from supervisor.xmlrpc import SupervisorTransport  # noqa: PLC0415

        transport = SupervisorTransport(None, None, serverurl=f"unix://{self.folder.control}")
        try:
            yield xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor
        except (OSError, xmlrpc.client.ProtocolError) as cause:
            raise SupervisorGone(self.folder.root, cause) from cause
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == _SHUTTING_DOWN:
                raise SupervisorGone(self.folder.root, "it is stopping") from fault
            raise
        finally:
            transport.close()

    def _full_name(self, supervisor: Any, name: str) -> str:  # noqa: ANN401 - XML-RPC is untyped
        groups = {found["name"]: found["group"] for found in supervisor.getAllProcessInfo()}
        return f"{groups.get(name, PROCESSES)}:{name}"

    def _kill(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            pid = int(self.folder.pid.read_text(encoding="ascii"))
            if os.fsencode(self.folder.configuration) in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)


def launch_supervisor(
    folder: DataFolder, *, lock: int, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    """Start the supervisor as a child that ends with us; it keeps `lock`, and with it the folder."""
    command = (sys.executable, "-m", "app.local.supervisord", str(folder.configuration), str(os.getpid()))
    with folder.log("supervisord-start").open("wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            pass_fds=(lock,),
            # Ctrl-C in a terminal reaches its whole group; only we shall hear it, and stop things in order.
            start_new_session=True,
        )


_POLL_SECONDS = 0.05
_SHUTTING_DOWN = 6
_ALREADY_STARTED = 60
_NOT_RUNNING = 70
"""Faults of supervisor/xmlrpc.py."""

_LAUNCHER = Path(__file__).with_name("launcher.py")


def _program_section(folder: DataFolder, program: Program, *, is_started: bool) -> str:
    launch_file = folder.launch_file(program.name)
    launch = {
        "command": program.command,
        "environment": dict(program.environment),
        "directory": str(program.directory or ""),
    }
    write_private(launch_file, json.dumps(launch, indent=1))
    launch_file.with_suffix(".started").unlink(missing_ok=True)
    command = shlex.join((sys.executable, "-I", "-S", str(_LAUNCHER), str(launch_file)))
    return _PROGRAM.format(
        name=program.name,
        command=_escape(command),
        autostart=str(is_started).lower(),
        misconfigured=EXIT_MISCONFIGURED,
        stop_wait=int(program.stop_wait.total_seconds()),
        # Twice: supervisor 4.3 expands the name of a log, and then what it has expanded.
        log=_escape(_escape(folder.log(program.name))),
    )


def _escape(value: object) -> str:
    """The supervisor expands %(names)s everywhere."""
    return str(value).replace("%", "%%")


def _status_of(found: dict[str, Any]) -> ProgramStatus:
    pid = int(found["pid"])
    return ProgramStatus(
        name=str(found["name"]),
        state=str(found["statename"]).lower(),
        pid=pid,
        exit_status=int(found["exitstatus"]),
        uptime=max(0, int(found["now"]) - int(found["start"])) if pid else 0,
    )


@contextlib.contextmanager
def _tolerate(code: int) -> Iterator[None]:
    try:
        yield
    except xmlrpc.client.Fault as fault:
        if fault.faultCode != code:
            raise

"""Each protection that a decoding child claims, tried from inside a real one."""

import os
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from app.decoding import handle
from app.decoding.landlock import rules
from app.decoding.process import DecoderCrashed, DecodingPool, open_decoding_pool
from app.decoding.protocol import Job
from app.decoding.seccomp import ALLOWED, DEADLY, NEWEST, Numbers, assemble
from app.domain.messages import Failure
from app.settings import Settings
from tests.support.clips import write_clip

NAMES: Final = {
    "no_new_privileges",
    "own_folder",
    "own_namespaces",
    "empty_root",
    "no_capabilities",
    "landlock",
    "seccomp",
}

ENDED: Final = "SIGSYS"
"""The kernel ended the child for the try."""

FILTERED: Final = {
    "open a file": "EPERM",
    "open a file beside us": "EPERM",
    "open the video again": "EPERM",
    "make a file": "EPERM",
    "make a temporary file": "EPERM",
    "make a file in memory": "EPERM",
    "make a folder": "EPERM",
    "list the root": "EPERM",
    "look at a file": "EPERM",
    "remove a file": "EPERM",
    "rename a file": "EPERM",
    "change a mode": "EPERM",
    "write into the video": "EBADF",
    "shorten the video": "EPERM",
    "fork": "EPERM",
    "run a program": ENDED,
    "run what was written": "EPERM",
    "map memory that runs": "EPERM",
    "signal the parent": ENDED,
    "signal everybody": ENDED,
    "trace the parent": ENDED,
    "limit the parent": "EPERM",
    "become root": "EPERM",
    "go first": "EPERM",
    "open a socket": ENDED,
    "open a pair of sockets": ENDED,
    "reach the parent's machine": ENDED,
    "type for the terminal": "EPERM",
    "start as clone3 does": "ENOSYS",
    "call what is newer": "ENOSYS",
    "call by the other numbers": ENDED,
    **{f"deadly: {name}": ENDED for name in DEADLY},
}
"""What comes of each try in a child as it is."""

UNFILTERED: Final = {
    "open a file": "ENOENT",
    "make a file": "ENOENT",
    "make a temporary file": "ENOENT",
    "list the root": "done: []",
    "look at a file": "ENOENT",
    "reach the parent's machine": "ENETUNREACH",
    "go first": "EACCES",
    "become root": "EINVAL",
}
"""What comes of it where there is no filter, but namespaces, an empty root and no capabilities."""

WALLS: Final = ("own_folder", "own_namespaces", "empty_root", "no_capabilities")


@asynccontextmanager
async def probes(monkeypatch: pytest.MonkeyPatch, module: str) -> AsyncIterator[DecodingPool]:
    monkeypatch.setattr(handle, "MODULE", f"tests.hostile.{module}")
    async with open_decoding_pool(Settings(), spares=1) as pool:
        yield pool


@pytest.fixture
async def filtered(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DecodingPool]:
    async with probes(monkeypatch, "probe") as pool:
        if pool.protections["seccomp"]:
            pytest.skip(f"no seccomp here: {pool.protections['seccomp']}")
        yield pool


@pytest.fixture
async def unfiltered(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DecodingPool]:
    async with probes(monkeypatch, "probe_unfiltered") as pool:
        if missing := [pool.protections[wall] for wall in WALLS if pool.protections[wall]]:
            pytest.skip(f"not everything can be had here: {missing}")
        yield pool


@pytest.fixture
def canary() -> Iterator[socket.socket]:
    """A listener on this machine, which nobody may reach."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        yield listener
        with pytest.raises(BlockingIOError):
            listener.accept()


def status_of(pid: int) -> tuple[str, Path]:
    """Return what the kernel says of a process, and its network."""
    process = Path(f"/proc/{pid}")
    return (process / "status").read_text(), (process / "ns" / "net").readlink()


async def tried(pool: DecodingPool, what: str, video: Path) -> str:
    async with pool.decode(Job(what, 1, str(video))) as split:
        try:
            async for _ in split.frames():
                pass
        except DecoderCrashed as crash:
            return ENDED if ENDED in crash.how else crash.how
    assert isinstance(split.outcome, Failure)
    return split.outcome.message


@pytest.fixture
def video(tmp_path: Path, canary: socket.socket) -> Path:
    """A file that holds the port of the canary."""
    path = tmp_path / "video"
    path.write_text(f"{canary.getsockname()[1]}\n")
    return path


async def test_a_child_says_what_protects_us_from_it(tmp_path: Path) -> None:
    async with open_decoding_pool(Settings()) as pool:
        assert set(pool.protections) == NAMES
        assert not pool.protections["no_new_privileges"]
        async with pool.decode(Job("v", 1, str(write_clip(tmp_path / "clip.mp4")))) as split:
            assert len([frame async for frame in split.frames()]) == 7
            status, network = status_of(split.pid)
    assert "NoNewPrivs:\t1" in status
    if not pool.protections["seccomp"]:
        assert "Seccomp:\t2" in status
    if not pool.protections["no_capabilities"]:
        assert re.search(r"CapEff:\t0+\n", status)
        assert re.search(r"CapPrm:\t0+\n", status)
    if not pool.protections["own_namespaces"]:
        assert network != status_of(os.getpid())[1]


async def test_what_decoding_does_not_need_is_refused(filtered: DecodingPool, video: Path) -> None:
    found = {what: await tried(filtered, what, video) for what in FILTERED}
    assert found == FILTERED


async def test_the_other_walls_hold_without_the_filter(unfiltered: DecodingPool, video: Path) -> None:
    found = {what: await tried(unfiltered, what, video) for what in UNFILTERED}
    assert found == UNFILTERED


async def test_its_limits_cannot_be_raised(unfiltered: DecodingPool, video: Path) -> None:
    assert "not allowed to raise maximum limit" in await tried(unfiltered, "raise its own limits", video)


async def test_what_decoding_needs_is_allowed(filtered: DecodingPool, video: Path) -> None:
    assert await tried(filtered, "start a thread", video) == "done: 1"
    assert "SIGABRT" in await tried(filtered, "end by abort", video)
    assert "SIGUSR1" in await tried(filtered, "end by a signal of its own", video)


async def test_a_child_inherits_nothing(filtered: DecodingPool, video: Path) -> None:
    # Three pipes, the one to the parent kept aside, and the video.
    assert await tried(filtered, "count open files", video) == "done: 5"
    names = await tried(filtered, "name the environment", video)
    given = {"LANG", "OPENBLAS_NUM_THREADS", "PATH", "PYTHONPATH", "PYTHONUNBUFFERED"}
    assert set(re.findall(r"'(\w+)'", names)) - {"LD_LIBRARY_PATH"} == given, "cv2 sets the other one itself"


async def test_a_child_leaves_no_folder(unfiltered: DecodingPool, video: Path) -> None:
    assert await tried(unfiltered, "say where it stands", video) in {"ENOENT", "done: (unreachable)/"}


async def test_a_try_that_is_deadly_is_told_as_such(filtered: DecodingPool, video: Path) -> None:
    async with filtered.decode(Job("run a program", 1, str(video))) as split:
        with pytest.raises(DecoderCrashed, match="no decoder needs") as caught:
            await anext(split.frames())
    assert caught.value.code == "decoder_crashed"


HEADERS: Final = (
    (0, Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")),
    (1, Path("/usr/include/asm-generic/unistd.h")),
)
"""Where Debian's `linux-libc-dev` has the numbers of x86_64, and those of aarch64."""


@pytest.mark.parametrize(("column", "header"), HEADERS, ids=["x86_64", "aarch64"])
def test_the_numbers_are_those_of_the_kernels_headers(column: int, header: Path) -> None:
    if not header.exists():
        pytest.skip(f"{header} is not installed")
    defined = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    numbers = {name: int(number) for name, number in defined}
    numbers.setdefault("newfstatat", numbers.get("fstatat", 0))
    calls: dict[str, Numbers] = ALLOWED | DEADLY
    assert {name: each[column] for name, each in calls.items() if each[column] is not None} == {
        name: numbers[name] for name, each in calls.items() if each[column] is not None
    }
    assert max(numbers.values()) <= NEWEST


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_is_whole_instructions_and_ends_with_a_verdict(machine: str) -> None:
    code = assemble(machine, process=1, channel=3)
    assert len(code) % 8 == 0
    assert len(code) // 8 < 4096, "more than the kernel takes (BPF_MAXINSNS)"
    assert code[-8:-6] == b"\x06\x00"


def test_landlock_is_asked_for_what_its_version_knows() -> None:
    assert [len(rules(version)) for version in range(1, 8)] == [8, 8, 8, 16, 16, 24, 24]
    assert int.from_bytes(rules(1), "little").bit_count() == 13
    assert int.from_bytes(rules(7)[:8], "little").bit_count() == 16

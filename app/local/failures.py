"""What can go wrong with the local stack, each in one line that names what to do."""

from pathlib import Path

from app.errors import Misconfigured, Unavailable


class PortTaken(Misconfigured):
    """Somebody else listens on a port that the stack needs.

    Args:
        port: the number.
        setting: the environment variable that moves it.
        owner: the process that listens there, or an empty text where that cannot be seen.
    """

    def __init__(self, port: int, setting: str, owner: str) -> None:
        by = f" by {owner}" if owner else ""
        super().__init__(f"port {port} is taken{by}: stop it, or set {setting} to another port")


class PortInvalid(Misconfigured):
    """A port setting is not a usable port number."""

    def __init__(self, setting: str, text: str, highest: int) -> None:
        super().__init__(f"{setting}={text} is not a port: it must be a number from 1 to {highest}")


class NoFreePorts(Misconfigured):
    """Every set of ports for tests is in use."""

    def __init__(self, tried: int) -> None:
        super().__init__(f"none of {tried} sets of ports is free")


class FolderInUse(Misconfigured):
    """Another stack runs on this data folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"a stack already runs on {folder}: stop it (`make down`) or set DATA_DIR to another folder"
        )


class FileDamaged(Misconfigured):
    """A file that was written earlier cannot be used any more."""

    def __init__(self, path: Path, cause: object, remedy: str) -> None:
        super().__init__(f"{path} cannot be used ({cause}): {remedy}")


class JarDamaged(Misconfigured):
    """A jar's bytes are not those that the lock names; the file is removed already."""

    def __init__(self, coordinate: str, *, found: str, locked: str) -> None:
        super().__init__(
            f"{coordinate} is removed, run again to fetch it anew: its sha256 is {found}, locked is {locked}"
        )


class JarUnavailable(Unavailable):
    """A jar can be neither found nor fetched."""

    def __init__(self, coordinate: str, cause: object) -> None:
        super().__init__(f"the download of {coordinate}", cause)


class CredentialsMissing(Misconfigured):
    """The S3 server would be open to everyone."""

    def __init__(self) -> None:
        super().__init__("the S3 server is not started: without both keys it would be open to everyone")


class NameUnknown(Misconfigured):
    """No program of the stack has this name."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no program is called {name}; there are {', '.join(known)}")


class NotReady(Unavailable):
    """A program did not get ready in time; its log says more."""

    def __init__(self, name: str, *, cause: object, log: Path) -> None:
        super().__init__(name, f"{cause} (its log: {log})")


class ProgramRefused(Misconfigured):
    """A program ended by itself because an operator has to act."""

    def __init__(self, name: str, *, last_line: str, log: Path) -> None:
        super().__init__(f"{name} stopped: {last_line} (its log: {log})")


class SupervisorGone(Unavailable):
    """The supervisor is not running, or ended while something waited for it."""

    def __init__(self, folder: Path, cause: object) -> None:
        super().__init__(f"the supervisor of {folder}", cause)

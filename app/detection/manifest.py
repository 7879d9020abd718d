"""What an export is made of: the SHA-256 of its weights and of each of its files, written when it is made."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from app.errors import Misconfigured

NAME: Final = "manifest.json"
"""The file in the export's folder; it does not name itself."""


class Manifest(msgspec.Struct, frozen=True):
    """What an export was made from, and what it consists of; SHA-256 in small hexadecimal digits.

    Attributes:
        weights: of the weights file.
        files: of each file, by its path in the export's folder.
    """

    weights: str
    files: dict[str, str]


def write_manifest(folder: Path, weights: str) -> Manifest:
    """Write down what is in a folder that nobody else writes to.

    Args:
        folder: of the export, complete but for this file.
        weights: SHA-256 of the weights that it was made from.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = Manifest(weights, {path.relative_to(folder).as_posix(): _digest(path) for path in paths})
    (folder / NAME).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    return manifest


def read_manifest(folder: Path) -> Manifest | None:
    """Return what an export says of itself; None if it was made before exports did so.

    Raises:
        Misconfigured: the file is there and is no manifest.
    """
    try:
        return msgspec.json.decode((folder / NAME).read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(folder, f"{NAME} cannot be read: {error}") from error


def check_files(folder: Path, manifest: Manifest, needed: Iterable[str]) -> None:
    """Return if an export is what was made, to the last byte; reads all of it.

    Args:
        folder: of the export.
        manifest: that it came with.
        needed: paths in the folder of the files that will be read.

    Raises:
        Misconfigured: a file has other bytes, is missing, or was not there when the export was made.
    """
    for name in needed:
        if name not in manifest.files:
            raise _damaged(folder, f"{name} is not in its {NAME}")
    for name, digest in manifest.files.items():
        try:
            found = _digest(folder / name)
        except FileNotFoundError:
            raise _damaged(folder, f"{name} is missing") from None
        if found != digest:
            raise _damaged(folder, f"{name} has the SHA-256 {found}, and was made with {digest}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(folder: Path, cause: str) -> Misconfigured:
    return Misconfigured(
        f"the export {folder} is not what it was when it was made ({cause}): remove that folder, "
        "and a worker with torch makes it anew, or `kadr model export`"
    )

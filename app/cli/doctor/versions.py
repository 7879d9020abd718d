"""Python and the libraries that Kadr was tested with."""

import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Final

from app.cli.doctor.findings import Finding, ok, warning, wrong

PYTHONS: Final = ((3, 11), (3, 13))
"""The first and the last release of Python that the tests run on."""

SHOWN: Final = ("av", "openvino", "torch", "ultralytics")
"""Libraries whose version says what can be decoded and how a model is run."""

HARMFUL: Final = {
    "opencv-python": "it takes the place of opencv-python-headless and needs X libraries",
    "openvino-telemetry": "it reports to its makers whenever OpenVINO is imported",
    "faust": "it takes the place of faust-streaming, and has not been maintained since 2020",
}
"""Packages that must not be there, and why."""

REINSTALL: Final = "install what requirements.lock says: `make setup`, or one of Kadr's images"


def look_at_versions() -> Iterator[Finding]:
    """Look at what is installed here."""
    yield _python()
    yield from _pins()
    yield from _harmful()


def _python() -> Finding:
    found, (first, last) = sys.version_info[:2], PYTHONS
    said = f"Kadr {metadata.version('kadr')}, Python {platform.python_version()} on {platform.system()}"
    if not first <= found <= last:
        wanted = " to ".join(".".join(map(str, each)) for each in PYTHONS)
        return wrong("versions", said, f"run Kadr on Python {wanted}")
    libraries = [f"{name} {version}" for name in SHOWN if (version := version_of(name))]
    return ok("versions", ", ".join([said, *libraries]))


def _pins() -> Iterator[Finding]:
    """The libraries that Kadr names one version of: their behaviour was measured, and another's was not."""
    for requirement in metadata.requires("kadr") or []:
        bare = requirement.partition(";")[0]
        name, is_pinned, wanted = (part.strip() for part in bare.partition("=="))
        name = name.partition("[")[0]
        if not is_pinned:
            continue
        found = version_of(name)
        if found is not None and found != wanted:
            yield wrong("versions", f"{name} {found} is installed, Kadr needs {wanted}", REINSTALL)


def _harmful() -> Iterator[Finding]:
    for name, why in HARMFUL.items():
        if version := version_of(name):
            yield warning("versions", f"{name} {version} is installed: {why}", REINSTALL)


def version_of(name: str) -> str | None:
    """Return the version of a package; None when it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None

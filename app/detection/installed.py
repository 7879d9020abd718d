"""What this machine offers a model, without loading one of its libraries."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from app.detection.checkpoint import has_cuda
from app.detection.processor import FOR_INT8, find_abilities

LIBRARIES: Final = ("openvino", "torch", "ultralytics", "nncf")

GPU_DEVICES: Final = (Path("/dev/nvidiactl"), Path("/proc/driver/nvidia"))
"""One of these exists where an NVIDIA GPU can be used: asking torch would cost its import."""


@dataclass(frozen=True)
class Here:
    """What this machine offers a model.

    Attributes:
        has_gpu: an NVIDIA GPU that torch can use.
        versions: of the libraries that are installed, by name.
        has_int8: instructions for it; without them an INT8 graph is hardly faster than one at f32.
    """

    has_gpu: bool
    versions: dict[str, str]
    has_int8: bool = True

    @property
    def has_torch(self) -> bool:
        """Whether weights can be loaded, exported and run as they are."""
        return {"torch", "ultralytics"} <= self.versions.keys()

    @property
    def has_openvino(self) -> bool:
        """Whether exports can be run."""
        return "openvino" in self.versions


def look_around() -> Here:
    """Say what is here; loads torch where there is a GPU."""
    has_gpu = any(device.exists() for device in GPU_DEVICES) and has_cuda()
    versions = {name: version for name, version in versions_of(LIBRARIES).items() if version}
    return Here(has_gpu, versions, has_int8=bool(find_abilities() & FOR_INT8))


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Return the version of each package, empty where it is not installed."""
    return {package: _version(package) for package in packages}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""

"""What a run has found: the content of `results.json`."""

from dataclasses import dataclass, field
from typing import Final, Literal

from app.domain.precision import Precision

Side = Literal["kadr", "torch", "openvino", "floor"]
"""Whom is measured: Kadr, Ultralytics' loop on torch, the same on its OpenVINO export, the floor."""

SIDES: Final[tuple[Side, ...]] = ("kadr", "torch", "openvino", "floor")


@dataclass(frozen=True)
class VideoFacts:
    """A video that everybody looked at; sizes in pixels."""

    name: str
    width: int
    height: int
    frames: int
    is_drawn: bool


@dataclass(frozen=True)
class Sample:
    """One repetition of one side with one video.

    Attributes:
        side: who.
        video: its name.
        repetition: counted from 0.
        frames: sampled frames that were looked at.
        wall: seconds.
        cpu: milliseconds by process; of Kadr's, `decoders` are the children of `runner`.
        others: processors that everybody else on the machine kept busy meanwhile.
        idle_stack: processors that Kadr's idle stack kept busy while another side worked.
    """

    side: Side
    video: str
    repetition: int
    frames: int
    wall: float
    cpu: dict[str, float]
    others: float
    idle_stack: float = 0.0


@dataclass(frozen=True)
class ParityFacts:
    """How a result agrees with what Ultralytics on torch finds in the same pictures.

    Attributes:
        frames: that were compared.
        boxes: of the reference, with a confidence of 0.35 or more.
        matched: of those, with a partner of the same class and an IoU of 0.9 or more.
        lost: boxes of the reference without a partner, of any confidence.
        extra: boxes of the result without a partner.
        equal: partners with the same four whole pixels.
        pairs: partners.
        conf_mean: mean absolute difference in confidence of partners.
        conf_most: the largest one.
    """

    frames: int
    boxes: int
    matched: int
    lost: int
    extra: int
    equal: int
    pairs: int
    conf_mean: float
    conf_most: float

    @property
    def share(self) -> float:
        """Share of the reference's confident boxes that have a partner; 1 where there are none."""
        return self.matched / self.boxes if self.boxes else 1.0


@dataclass
class Run:
    """What one Kadr was measured at.

    Attributes:
        precision: of its detector.
        backend: what runs its model, in its own words.
        samples: of all sides.
        latencies: seconds from submit to the result of a clip of 10 sampled frames, service idle.
        idle: processor time by process when nothing is to be done, in milliseconds per second.
        parity: by name of the video.
    """

    precision: Precision
    backend: str = ""
    samples: list[Sample] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    idle: dict[str, float] = field(default_factory=dict)
    parity: dict[str, ParityFacts] = field(default_factory=dict)


@dataclass(frozen=True)
class MachineFacts:
    """Where it ran.

    Attributes:
        processor: its name, and those of its abilities that matter to a model.
        cores: that this process may use.
        memory: GiB.
        system: the kernel.
        load: the load average over 1, 5 and 15 minutes before the run began.
        niceness: of everything.
        gpu: the name of an NVIDIA GPU, if there is one.
    """

    processor: str
    abilities: tuple[str, ...]
    cores: int
    memory: float
    system: str
    load: tuple[float, float, float]
    niceness: int
    gpu: str = ""


@dataclass
class Findings:
    """A whole benchmark.

    Attributes:
        began: ISO 8601, UTC.
        commit: of the project, with `-dirty` when files had changed; empty outside a checkout.
        model: name and SHA-256 of the weights.
        machine: where.
        versions: of packages and servers.
        settings: of Kadr that were not the default.
        rivals: what is worth knowing of how the other sides ran, by side.
        videos: in the order of the tables.
        runs: one for each precision.
        minutes: how long everything took.
    """

    began: str
    commit: str
    model: tuple[str, str]
    machine: MachineFacts
    versions: dict[str, str]
    settings: dict[str, str]
    rivals: dict[str, str] = field(default_factory=dict)
    videos: list[VideoFacts] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    minutes: float = 0.0

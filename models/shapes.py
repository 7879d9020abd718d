"""Pictures and clips of coloured shapes whose every box is known, drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
"""Height x width x 3, BGR."""

NAMES = ("circle", "square", "triangle")
"""The classes, in the order of the demo model's class numbers."""

RADII = (18.0, 46.0)
"""Pixels from a shape's centre to its farthest point. The least keeps every box at 25 pixels or more."""

GAP = 6.0
"""Pixels that two shapes of a clip keep between their circumscribed circles: nothing hides anything."""

MARGIN = 1.0
"""Pixels between a shape and the edge of the picture, so that anti-aliasing stays inside too."""

SUBPIXEL_BITS = 4
"""cv2 draws at sixteenths of a pixel; motion would jerk without."""

PLACING_TRIES = 200
"""A crowded picture gets fewer shapes rather than an endless search for a free place."""


@dataclass(frozen=True)
class Shape:
    """One object that is there.

    Attributes:
        name: One of `NAMES`.
        box: Left, top, right, bottom in pixels of the picture; pixel x covers x to x + 1.
    """

    name: str
    box: list[float]


@dataclass(frozen=True)
class Truth:
    """All that is in one frame, counted from 0."""

    frame: int
    objects: list[Shape]


@dataclass(frozen=True)
class Body:
    """A shape on its way: where it is, how it is turned, and where it goes; pixels and radians, per frame."""

    name: str
    colour: tuple[int, int, int]
    radius: float
    centre: npt.NDArray[np.float64]
    velocity: npt.NDArray[np.float64]
    angle: float
    spin: float

    def corners(self) -> npt.NDArray[np.float64]:
        """Return the corners of a square or a triangle as rows of x, y."""
        count = 4 if self.name == "square" else 3
        turns = self.angle + np.arange(count) * (2 * np.pi / count)
        return self.centre + self.radius * np.stack([np.cos(turns), np.sin(turns)], axis=1)

    def shape(self) -> Shape:
        """Return what a detector should say about this body."""
        if self.name == "circle":
            least, most = self.centre - self.radius, self.centre + self.radius
        else:
            least, most = self.corners().min(axis=0), self.corners().max(axis=0)
        return Shape(name=self.name, box=[round(float(edge), 2) for edge in (*least, *most)])

    def draw(self, picture: Picture) -> None:
        """Paint the body on the picture, in place."""
        # cv2 counts from the middle of a pixel, a box from its edge: half a pixel lies between.
        unit = 2**SUBPIXEL_BITS
        if self.name == "circle":
            x, y = np.rint((self.centre - 0.5) * unit).astype(int).tolist()
            radius = round((self.radius - 0.5) * unit)
            cv2.circle(picture, (x, y), radius, self.colour, cv2.FILLED, cv2.LINE_AA, SUBPIXEL_BITS)
        else:
            points = np.rint((self.corners() - 0.5) * unit).astype(np.int32)
            cv2.fillPoly(picture, [points], self.colour, cv2.LINE_AA, SUBPIXEL_BITS)


def write_clip(
    path: Path,
    *,
    seed: int,
    frames: int = 100,
    fps: int = 25,
    size: tuple[int, int] = (512, 288),
    objects: int | None = None,
) -> list[Truth]:
    """Write an H.264 clip (mp4, yuv420p, B-frames) of moving shapes; the same arguments give the same bytes.

    Args:
        path: Where to write; replaced when it exists.
        seed: What decides everything that is drawn.
        frames: How many frames.
        fps: Frames per second.
        size: Width and height, both even. The demo model is good from 480 pixels of width.
        objects: How many shapes; 2 to 4 when not said.

    Returns:
        One truth per frame, in order.
    """
    truths: list[Truth] = []
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps), options={"crf": "16", "bf": "2"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        # x264 decides differently with more threads: with one, the bytes depend on the seed alone.
        stream.thread_count = 1
        for picture, truth in draw_clip(seed=seed, frames=frames, size=size, objects=objects):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            truths.append(truth)
        container.mux(stream.encode())
    return truths


def repeat_clip(source: Path, target: Path, times: int) -> None:
    """Write a clip that shows another one again and again; nothing is encoded, so that hours take seconds.

    Args:
        source: a clip that `write_clip` has written.
        target: where to write; replaced when it exists.
        times: how often.
    """
    with av.open(str(source)) as found, av.open(str(target), "w", format="mp4") as container:
        packets = [packet for packet in found.demux(video=0) if packet.dts is not None]
        stream = container.add_stream_from_template(found.streams.video[0])
        stamps = [(packet.dts, packet.pts or 0) for packet in packets]
        length = sum(packet.duration or 0 for packet in packets)
        for number in range(times):
            for packet, (dts, pts) in zip(packets, stamps, strict=True):
                packet.stream = stream
                packet.dts, packet.pts = dts + number * length, pts + number * length
                container.mux(packet)


def draw_clip(
    *, seed: int, frames: int, size: tuple[int, int], objects: int | None = None
) -> Iterator[tuple[Picture, Truth]]:
    """Yield a clip's frames, not yet encoded, each with its truth; arguments as for `write_clip`."""
    rng = np.random.default_rng(seed)
    scale = max(1.0, size[0] / 640)
    background = draw_background(rng, size=size, scale=scale)
    count = int(rng.integers(2, 5)) if objects is None else objects
    bodies = place_bodies(rng, count=count, size=size, scale=scale, gap=GAP)
    for frame in range(frames):
        yield _paint(background, bodies), Truth(frame, [body.shape() for body in bodies])
        bodies = move_bodies(bodies, size=size)


def write_picture(path: Path, *, seed: int, size: tuple[int, int] = (512, 288)) -> Truth:
    """Write one still picture as its name's ending says (.png, .jpg) and return what is in it."""
    picture, truth = draw_picture(np.random.default_rng(seed), size=size)
    cv2.imwrite(str(path), picture)
    return truth


def draw_picture(
    rng: np.random.Generator, *, size: tuple[int, int], scale: float = 1.0
) -> tuple[Picture, Truth]:
    """Draw one still picture of none to five shapes, which may overlap a little.

    Args:
        rng: Where every choice comes from.
        size: Width and height.
        scale: By how much shapes and texture are enlarged.
    """
    background = draw_background(rng, size=size, scale=scale)
    bodies = place_bodies(rng, count=int(rng.integers(0, 6)), size=size, scale=scale, gap=-8 * scale)
    return _paint(background, bodies), Truth(0, [body.shape() for body in bodies])


def draw_background(rng: np.random.Generator, *, size: tuple[int, int], scale: float) -> Picture:
    """Draw a dull texture: tinted clouds of several sizes, grain, and lines across.

    It stays darker and greyer than any shape, also after the service has raised the contrast.
    """
    width, height = size
    base = rng.uniform(35, 110) + rng.uniform(-14, 14, size=3)
    canvas = np.full((height, width, 3), base, np.float32)
    for cell, strength in ((96, 22), (24, 12), (6, 8)):
        shape = (max(2, round(height / cell / scale)), max(2, round(width / cell / scale)), 1)
        clouds = rng.normal(0, strength * rng.uniform(0.3, 1), size=shape).astype(np.float32)
        canvas += cv2.resize(clouds, size, interpolation=cv2.INTER_CUBIC)[:, :, None]
    canvas += rng.normal(0, rng.uniform(0, 5), size=(height, width, 1)).astype(np.float32)
    picture: Picture = np.clip(canvas, 10, 140).astype(np.uint8)
    for _ in range(int(rng.integers(0, 9))):
        start, end = (rng.uniform(0, 1, size=(2, 2)) * size).astype(int).tolist()
        grey = rng.integers(15, 135, size=3) // 2 + int(rng.integers(8, 68))
        cv2.line(picture, start, end, grey.tolist(), max(1, round(rng.uniform(1, 5) * scale)), cv2.LINE_AA)
    return picture


def place_bodies(
    rng: np.random.Generator, *, count: int, size: tuple[int, int], scale: float, gap: float
) -> list[Body]:
    """Place up to that many bodies, wholly inside, their circumscribed circles `gap` pixels apart."""
    bodies: list[Body] = []
    for _ in range(PLACING_TRIES):
        if len(bodies) == count:
            break
        body = _create_body(rng, size=size, scale=scale)
        if all(_distance(body, other) >= body.radius + other.radius + gap for other in bodies):
            bodies.append(body)
    return bodies


def move_bodies(bodies: list[Body], *, size: tuple[int, int]) -> list[Body]:
    """Return the bodies one frame later: they turn, and bounce off the edges and off one another."""
    velocities = [body.velocity.copy() for body in bodies]
    for i, body in enumerate(bodies):
        for j, other in enumerate(bodies[:i]):
            _bounce(body, other, velocities[i], velocities[j])
    return [
        _move(body, velocity, limit=np.array(size, float))
        for body, velocity in zip(bodies, velocities, strict=True)
    ]


def _bounce(
    body: Body, other: Body, velocity: npt.NDArray[np.float64], others: npt.NDArray[np.float64]
) -> None:
    """Exchange, in place, the parts of two velocities along the line between two bodies that meet."""
    apart = body.centre - other.centre
    normal = apart / max(float(np.linalg.norm(apart)), 1e-6)
    closing = float((velocity - others) @ normal)
    if closing < 0 and _distance(body, other) < body.radius + other.radius + GAP:
        velocity -= closing * normal
        others += closing * normal


def _move(body: Body, velocity: npt.NDArray[np.float64], *, limit: npt.NDArray[np.float64]) -> Body:
    """Return the body one frame later, turned back where it would leave the picture."""
    least = np.full(2, body.radius + MARGIN)
    most = limit - body.radius - MARGIN
    there = body.centre + velocity
    velocity = np.where((there < least) | (there > most), -velocity, velocity)
    centre = np.clip(body.centre + velocity, least, most)
    return replace(body, centre=centre, velocity=velocity, angle=body.angle + body.spin)


def _create_body(rng: np.random.Generator, *, size: tuple[int, int], scale: float) -> Body:
    radius = min(rng.uniform(*RADII) * scale, min(size) / 3)
    heading, speed = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 3.5) * scale
    inside = np.array(size, float) - 2 * (radius + MARGIN)
    return Body(
        name=NAMES[int(rng.integers(len(NAMES)))],
        colour=_pick_colour(rng),
        radius=radius,
        centre=radius + MARGIN + rng.uniform(0, 1, size=2) * inside,
        velocity=speed * np.array([np.cos(heading), np.sin(heading)]),
        angle=rng.uniform(0, 2 * np.pi),
        spin=rng.uniform(-0.05, 0.05),
    )


def _pick_colour(rng: np.random.Generator) -> tuple[int, int, int]:
    """Pick a clear colour whose brightest channel stays below 255 after a gain of 1.3 and an offset of 5."""
    hsv = np.array([[[rng.integers(180), rng.integers(190, 256), rng.integers(145, 193)]]], np.uint8)
    blue, green, red = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red


def _distance(body: Body, other: Body) -> float:
    return float(np.linalg.norm(body.centre - other.centre))


def _paint(background: Picture, bodies: list[Body]) -> Picture:
    picture = background.copy()
    for body in bodies:
        body.draw(picture)
    return picture

"""The findings as Markdown: every figure, and beside it what must be reached."""

from collections.abc import Iterable, Sequence
from typing import Final

from benchmarks.figures import (
    MILLISECONDS,
    Ratio,
    cpu_per_frame,
    median_by_process,
    median_of,
    of_side,
    percentile,
    ratio,
    wall_per_frame,
)
from benchmarks.findings import SIDES, Findings, ParityFacts, Run, Side, VideoFacts
from benchmarks.rivals import JOBS_OF
from benchmarks.targets import FLOOR, LATENCY, OVERHEAD, PARITY, SPEEDUPS, Target

NAMES: Final[dict[Side, str]] = {
    "kadr": "Kadr",
    "torch": "Ultralytics, torch",
    "openvino": "Ultralytics, OpenVINO",
    "floor": "floor",
}

ORDER: Final = ("api", "outbox", "runner", "decoders", "inference", "results", "kafka", "mongo", "s3")
"""Kadr's processes in the order in which a video meets them, then the servers."""

WORK: Final = frozenset({"decoders", "inference"})
"""Processes that decode and look; everything else is overhead."""

QUIET: Final = 0.2
"""Cores that others may keep busy before the report warns of them."""

INTRODUCTION: Final = """\
# Benchmark

Written by `make bench`; `results.json` beside it holds every single sample. Times are milliseconds per
sampled frame (every 5th), medians of the repetitions; `cpu` is processor time, of all processes and threads.

* **Kadr**: from the first byte of the upload until the video is `ready`, as Kadr itself has noted it, and the
  time for fetching the result; on a stack of its own: Kafka, a Mongo-wire server, S3 and the five processes.
  `cpu` includes the child that gets ready for the next video, and what it takes to ask whether it is ready.
* **Ultralytics**: `YOLO(weights).predict(video, vid_stride=5, stream=True)` on torch, and on its own OpenVINO
  export (with dynamic shapes, so that no border is computed that Kadr does not compute), loaded and warm.
  Nothing is done with what it finds. It looks at frames 4, 9, 14, …, Kadr at 0, 5, 10, …
* **Floor**: one process decodes the sampled frames and drops the pixels; at the same time another runs Kadr's
  bare graph as many times on noise. Nothing passes between them. What ends last counts.

Everybody takes turns with every video, all warm, at the same niceness, with as many threads as each library
sets. Figures of one run may be compared with one another, not with those of another run."""


def render(findings: Findings) -> str:
    """Return the whole report."""
    parts = [INTRODUCTION, _machine(findings)]
    for run in findings.runs:
        parts += _run(findings, run)
    return "\n\n".join(parts) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def judged(value: float | None, target: Target | None, *, unit: str = "", decimals: int = 2) -> list[str]:
    """Return the cells value, target and verdict; a dash for what there is not."""
    found = "-" if value is None else f"{value:.{decimals}f}{unit}"
    if target is None:
        return [found, "-", "-"]
    return [found, target.text(unit), "-" if value is None else target.verdict(value)]


def _machine(findings: Findings) -> str:
    machine = findings.machine
    load = " ".join(f"{each:.1f}" for each in machine.load)
    samples = [sample for run in findings.runs for sample in run.samples]
    others = [sample.others for sample in samples]
    repeats = 1 + max((sample.repetition for sample in samples), default=-1)
    busy = f"{percentile(others, 50):.2f} (median), {max(others):.2f} (most)" if others else "-"
    rows = [
        ("began", findings.began),
        ("took", f"{findings.minutes:.0f} minutes, {repeats} repetitions"),
        ("commit", findings.commit or "-"),
        ("processor", f"{machine.processor}: {machine.cores} cores; {', '.join(machine.abilities)}"),
        *((("GPU, driver", machine.gpu),) if machine.gpu else ()),
        ("memory", f"{machine.memory} GiB"),
        ("system", f"{machine.system}, niceness {machine.niceness}"),
        ("load average before", load),
        ("cores that others kept busy during a turn", busy),
        ("model", f"{findings.model[0]}, sha256 {findings.model[1][:12]}"),
        ("settings", ", ".join(f"{name}={value}" for name, value in findings.settings.items()) or "defaults"),
        ("versions", ", ".join(f"{name} {version}" for name, version in findings.versions.items())),
        *((f"how {NAMES[side]} ran", findings.rivals[side]) for side in SIDES if side in findings.rivals),
        *((each.name, _video(each)) for each in findings.videos),
    ]
    return "## The run\n" + table(("", ""), rows) + _warning(others)


def _warning(others: Sequence[float]) -> str:
    if not others or percentile(others, 50) <= QUIET:
        return ""
    return (
        "\n\n**The machine was not idle.** Whoever has more processes gets more of a crowded processor, so "
        "the ratios of the clock, the latency and the verdicts on both say little; processor time says more."
    )


def _video(facts: VideoFacts) -> str:
    drawn = ", drawn" if facts.is_drawn else ""
    return f"{facts.width}x{facts.height}, {facts.frames} frames{drawn}"


def _run(findings: Findings, run: Run) -> list[str]:
    videos = [each.name for each in findings.videos]
    parts = [f"## {run.precision} ({run.backend})"]
    if run.samples:
        parts += ["### Times\n" + _times(run, videos), "### How many times as fast\n" + _ratios(run, videos)]
        parts.append("### Processor time of Kadr's processes\n" + _processes(run, videos))
        parts.append(_disturbance(run))
    if run.latencies:
        parts.append("### A clip of 10 sampled frames, idle service\n" + _latency(run))
    if run.parity:
        parts.append("### Are the boxes those of the model?\n" + _parity(run, videos))
    return parts


def _times(run: Run, videos: Sequence[str]) -> str:
    sides = [side for side in SIDES if any(sample.side == side for sample in run.samples)]
    rows = []
    for video in videos:
        cells = [video]
        for side in sides:
            samples = of_side(run.samples, video, side)
            wall, cpu = median_of(samples, wall_per_frame), median_of(samples, cpu_per_frame)
            cells.append("-" if wall is None or cpu is None else f"{wall:.1f} / {cpu:.1f}")
        rows.append(cells)
    return table(["ms per frame: clock / cpu", *(NAMES[side] for side in sides)], rows)


def _ratios(run: Run, videos: Sequence[str]) -> str:
    rows = []
    for video in videos:
        kadr, torch, openvino, floor = (of_side(run.samples, video, side) for side in SIDES)
        speedup = SPEEDUPS.get((run.precision, video))
        limit = FLOOR if run.precision == "f32" else None
        rows += [
            [video, "Ultralytics on torch / Kadr", *_judged_ratio(ratio(torch, kadr), speedup)],
            [video, "Ultralytics on OpenVINO / Kadr", *_judged_ratio(ratio(openvino, kadr), None)],
            [video, "Kadr / floor", *_judged_ratio(ratio(kadr, floor), limit)],
        ]
    measured = [row for row in rows if row[2] != "-"]
    return table(["video", "time of", "ratio", "in single repetitions", "target", ""], measured)


def _judged_ratio(found: Ratio | None, target: Target | None) -> list[str]:
    if found is None:
        return ["-"] * 4
    value, text, verdict = judged(found.value, target, unit="x")
    return [value, f"{found.least:.2f} to {found.most:.2f}", text, verdict]


def _processes(run: Run, videos: Sequence[str]) -> str:
    by_video = {video: median_by_process(of_side(run.samples, video, "kadr")) for video in videos}
    rows = [
        [_shown(name), *(f"{by_video[video].get(name, 0.0):.2f}" for video in videos), _idle(run, name)]
        for name in ORDER
    ]
    rows.append(["all", *(f"{sum(by_video[video].values()):.2f}" for video in videos), _idle(run, *ORDER)])
    rest = [name for name in ORDER if name not in WORK]
    sums = [sum(by_video[video].get(name, 0.0) for name in rest) for video in videos]
    rows.append(
        ["**without decoders and inference**", *(f"**{each:.2f}**" for each in sums), _idle(run, *rest)]
    )
    if run.idle:
        at_rest = sum(run.idle.get(name, 0.0) for name in rest) / MILLISECONDS
        walls = [median_of(of_side(run.samples, video, "kadr"), wall_per_frame) or 0.0 for video in videos]
        rows.append(
            ["of that, what idling takes meanwhile", *(f"{at_rest * each:.2f}" for each in walls), ""]
        )
    text = OVERHEAD.text(" ms")
    rows.append([f"target: {text}", *(OVERHEAD.verdict(each) if each else "-" for each in sums), ""])
    rows += _bare(run, videos)
    return table(["cpu ms per frame", *videos, "idle, ms per second"], rows)


def _bare(run: Run, videos: Sequence[str]) -> list[list[str]]:
    """Return what the floor's two processes use, to hold the decoders and inference against."""
    floors = {video: median_by_process(of_side(run.samples, video, "floor")) for video in videos}
    return [
        [f"floor: bare {job}", *(f"{floors[video].get(job, 0.0):.2f}" for video in videos), ""]
        for job in JOBS_OF["floor"]
        if any(floors.values())
    ]


def _shown(name: str) -> str:
    return {"runner": "runner, the parent", "decoders": "runner's children"}.get(name, name)


def _idle(run: Run, *names: str) -> str:
    return f"{sum(run.idle.get(name, 0.0) for name in names):.1f}" if run.idle else "-"


def _disturbance(run: Run) -> str:
    idle = [sample.idle_stack for sample in run.samples if sample.side != "kadr"]
    if not idle:
        return ""
    return (
        f"While another side worked, Kadr's idle stack kept {percentile(idle, 50):.3f} cores busy (median): "
        "that much the others were disturbed."
    )


def _latency(run: Run) -> str:
    rows = [
        [f"p{percent}", *judged(percentile(run.latencies, percent), target, unit=" s")]
        for percent, target in LATENCY.items()
    ]
    spread = f"{min(run.latencies):.2f} to {max(run.latencies):.2f} s, {len(run.latencies)} times"
    return table(["submit to result", spread, "target", ""], rows)


def _parity(run: Run, videos: Sequence[str]) -> str:
    rows = [
        [video, *_parity_cells(run.parity[video], PARITY if run.precision == "f32" else None)]
        for video in videos
        if video in run.parity
    ]
    columns = ["video", "frames", "matched", "share", "target", "", "lost", "extra", "equal boxes"]
    return table([*columns, "mean conf difference", "largest"], rows)


def _parity_cells(facts: ParityFacts, target: Target | None) -> list[str]:
    return [
        str(facts.frames),
        f"{facts.matched} of {facts.boxes}",
        *judged(facts.share * 100, target, unit=" %"),
        str(facts.lost),
        str(facts.extra),
        f"{facts.equal} of {facts.pairs}",
        f"{facts.conf_mean:.6f}",
        f"{facts.conf_most:.6f}",
    ]

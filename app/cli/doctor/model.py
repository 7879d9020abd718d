"""Whether the model can be run here, and how."""

from typing import Final

from app.cli.doctor.findings import Finding, ok, unknown, warning, wrong
from app.cli.models import Report, report_model
from app.detection.choice import Way
from app.detection.installed import look_around
from app.errors import Misconfigured
from app.settings import Settings

SHOWN: Final = 12
"""Characters of a SHA-256 that are shown."""


async def look_at_model(settings: Settings) -> list[Finding]:
    """Look at the weights and their export, and load what an inference worker would; nothing is made."""
    here = look_around()
    if not (here.has_openvino or here.has_torch):
        return [unknown("model", "nothing that runs a model is installed here", "ask where inference runs")]
    # A look must not download anything.
    asked = settings.model_copy(update={"model_download": False})
    try:
        return _judged(await report_model(asked))
    except Misconfigured as error:
        return [wrong("model", str(error), "docs/settings.md, 'Model'; `kadr model info` says more")]


def _judged(report: Report) -> list[Finding]:
    weights = report.weights
    said = f"{weights.path.name}, sha256 {weights.sha256[:SHOWN]}"
    if report.choice is None:
        return [wrong("model", f"{said}: {report.refusal}", "docs/settings.md, 'Model'")]
    if report.choice.way is Way.EXPORT_FIRST:
        return [
            warning(
                "model",
                f"{said} has no export yet: the first inference worker makes one",
                "`kadr model export`",
            )
        ]
    pinned = "pinned" if report.settings.model_sha256 else "not pinned"
    demo = "; it is the demo model, which knows drawn shapes only" if weights.is_demo else ""
    return [
        ok(
            "model",
            f"{said}, {pinned}; {report.choice.way.name.lower()}, because {report.choice.reason}{demo}",
        )
    ]

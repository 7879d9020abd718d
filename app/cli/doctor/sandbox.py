"""What protects this machine from decoders: tried, in a child that is started as a runner starts it."""

from app.cli.doctor.findings import Finding, ok, unknown, warning, wrong
from app.decoding.process import open_decoding_pool
from app.errors import Rejected
from app.settings import Settings


async def look_at_sandbox(settings: Settings) -> list[Finding]:
    """Start a decoding child, and see what it could give up."""
    try:
        async with open_decoding_pool(settings) as pool:
            protections = dict(pool.protections)
    except Rejected as error:
        return [
            wrong(
                "sandbox", f"a decoder cannot be started: {error}", "look at limits of memory and processes"
            )
        ]
    return judge(protections, "this machine")


def judge(protections: dict[str, str], where: str) -> list[Finding]:
    """Say what of the sandbox is there.

    Args:
        protections: each, and why it is not there; empty where it is.
        where: on which machine.
    """
    missing = {name: why for name, why in protections.items() if why}
    if not protections:
        return [unknown("sandbox", f"{where}: nothing is known")]
    said = f"{where}: {len(protections) - len(missing)} of {len(protections)} protections"
    if "seccomp" in missing:
        return [
            wrong(
                "sandbox",
                f"{said}; no seccomp ({missing['seccomp']}): a decoder may ask the kernel for anything",
                "run runners on Linux with seccomp, x86-64 or arm64: docs/security.md",
            )
        ]
    if len(missing) > 1:
        reasons = "; ".join(f"{name}: {why}" for name, why in missing.items())
        return [warning("sandbox", f"{said}; {reasons}", "docs/security.md says what each of them is for")]
    return [ok("sandbox", said + "".join(f"; without {name}: {why}" for name, why in missing.items()))]

"""`kadr doctor`; what it does is imported when it is called."""

import asyncio
import os

import typer

from app.cli.arguments import AsJson
from app.cli.written import write_json

doctor_app = typer.Typer()


@doctor_app.command()
def doctor(*, as_json: AsJson = False) -> None:
    """Look at everything that Kadr stands on; say what is wrong and what to do.

    Versions, settings, Kafka and its topics, Mongo and its indexes, S3, disks, clocks, the model, the
    decoders' sandbox and Kadr's own processes. Nothing is changed, but one small object is written to each
    bucket and removed. Exit code 0: all is well, or there are warnings only; 78: something is wrong; 69:
    something does not answer.
    """
    from dataclasses import asdict

    from app.cli.doctor.examination import examine
    from app.cli.doctor.findings import exit_code_of, summary_of
    from app.cli.servers import find_settings

    found = asyncio.run(examine(find_settings(os.environ)))
    for each in found:
        if as_json:
            write_json(asdict(each))
            continue
        typer.echo(f"{each.verdict:8} {each.check:10} {each.said}")
        if each.remedy:
            typer.echo(f"{'':19} → {each.remedy}")
    if not as_json:
        typer.echo(summary_of(found))
    raise typer.Exit(exit_code_of(found))

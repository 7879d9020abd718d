"""`up`, and a stack for as long as a command needs it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import typer
from rich.console import Console

from app.cli.exits import say
from app.cli.servers import addresses_of
from app.cli.written import write_json
from app.clients.http.worker_pages import model_of
from app.domain.messages import ModelFacts
from app.local.foreground import run_in_foreground
from app.local.stack import LocalStack

STARTING = "Starting the servers and Kadr's five processes"


def run_up(environment: Mapping[str, str], notes: Console, *, as_json: bool = False) -> None:
    """Run servers and processes until Ctrl-C.

    As JSON, a line when everything is ready and one when everything is stopped.

    Raises:
        KadrError: they did not get ready; the sentence says why.
    """
    stack = LocalStack.from_environment(environment)
    with notes.status(f"{STARTING} …") as status:

        def on_ready() -> None:
            status.stop()
            if as_json:
                write_json({"event": "ready", **facts_of(stack)})
                return
            for line in describe_stack(stack):
                typer.echo(line)

        def on_trouble(sentence: str) -> None:
            say(sentence)

        run_in_foreground(stack, on_ready=on_ready, on_trouble=on_trouble)
    write_json({"event": "stopped"}) if as_json else typer.echo("Everything is stopped.")


DEMO_HINTS = (
    "This is the demo model: it knows nothing but drawn circles, squares and triangles.",
    "Set another: MODEL=yolo11n.pt, or the path of a .pt file.",
)


@contextmanager
def use_stack(stack: LocalStack, notes: Console) -> Iterator[None]:
    """Run a stack for as long as the context lasts, or use the one that runs on its folder, and leave it.

    Raises:
        KadrError: it did not get ready; the sentence says why.
    """
    if stack.folder.is_held():
        notes.print(f"Using the stack that already runs on {stack.folder.root}.", soft_wrap=True)
        with notes.status("Waiting until it is ready …"):
            stack.wait_ready(only=stack.names)
        yield
        return
    started = time.monotonic()
    with notes.status(f"{STARTING} …"):
        stack.prepare()
        stack.start()
    # What did not start is not stopped: another stack may hold the folder by now.
    try:
        with notes.status(f"{STARTING} …"):
            stack.wait_ready()
        notes.print(f"{STARTING} took {time.monotonic() - started:.0f} s.")
        yield
    finally:
        with notes.status("Stopping everything …"):
            stack.stop()


def describe_stack(stack: LocalStack) -> list[str]:
    """Where everything is, and which model is used."""
    addresses = addresses_of(stack)
    model = model_of(addresses.inference)
    lines = [
        "Kadr is running. Ctrl-C stops it, which takes some seconds.",
        f"  page       {addresses.api}/",
        f"  API        {addresses.api}/api/ (described at {addresses.api}/docs)",
        *(f"  {name:<10} {url}/health" for name, url in _pages(stack).items()),
        f"  logs       {stack.folder.log('*')}",
    ]
    return lines if model is None else [*lines, *(f"  {line}" for line in describe_model(model))]


def facts_of(stack: LocalStack) -> dict[str, object]:
    """The same for programs."""
    addresses = addresses_of(stack)
    return {
        "api": addresses.api,
        **_pages(stack),
        "logs": str(stack.folder.log("*")),
        "model": model_of(addresses.inference),
    }


def _pages(stack: LocalStack) -> dict[str, str]:
    ports = stack.ports
    workers = {
        "runner": ports.runner,
        "inference": ports.inference,
        "outbox": ports.outbox,
        "results": ports.results,
    }
    return {name: f"http://127.0.0.1:{port}" for name, port in workers.items()}


def describe_model(model: ModelFacts) -> list[str]:
    """Which model looks, and while it is the demo model, how to set another."""
    lines = [f"{'model':<10} {model.name} ({model.backend}, sha256 {model.sha256[:12]})"]
    if model.demo:
        lines += [f"{'':<10} {hint}" for hint in DEMO_HINTS]
    return lines

"""Where a running Kadr is found: as the command line says, else the environment, else this machine."""

from collections.abc import Mapping

from app.clients.kadr_api import Addresses
from app.local.folder import DataFolder
from app.local.ports import Ports
from app.local.stack import LocalStack
from app.settings import Settings


def find_addresses(environment: Mapping[str, str], *, api: str | None = None) -> Addresses:
    """The addresses of the processes that a user's command speaks to.

    Args:
        environment: `API_URL`, `RUNNER_URL`, or else the ports of a local stack.
        api: what the command line says; it goes first.

    Raises:
        PortInvalid: a setting is not a port number.
    """
    ports = Ports.from_environment(environment)
    return Addresses(
        api=_url(api or environment.get("API_URL"), ports.api),
        runner=_url(environment.get("RUNNER_URL"), ports.runner),
        inference=_url(None, ports.inference),
    )


def addresses_of(stack: LocalStack) -> Addresses:
    """The addresses of a local stack's processes."""
    ports = stack.ports
    return Addresses(_url(None, ports.api), _url(None, ports.runner), _url(None, ports.inference))


def find_settings(environment: Mapping[str, str]) -> Settings:
    """The settings that lead to the servers: those of the stack that runs here, or else the environment's."""
    stack = LocalStack.from_environment(environment, processes=())
    if environment.get("KAFKA_BOOTSTRAP_SERVERS") or not stack.folder.is_held():
        return Settings()
    return Settings.model_validate({name.lower(): value for name, value in stack.environment().items()})


def local_folder(environment: Mapping[str, str]) -> DataFolder:
    """The data folder of a local stack."""
    return LocalStack.from_environment(environment, processes=()).folder


def _url(named: str | None, port: int) -> str:
    return (named or f"http://127.0.0.1:{port}").rstrip("/")

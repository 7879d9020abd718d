"""The stack of this machine and the servers behind it, for commands that speak to them and not to the API."""

from collections.abc import Mapping

from pydantic import ValidationError

from app.cli.addresses import Addresses, url_of
from app.client.addresses import find_key
from app.errors import Misconfigured
from app.local.folder import DataFolder
from app.local.stack import LocalStack
from app.settings import Settings


def addresses_of(stack: LocalStack) -> Addresses:
    """The addresses of a local stack's processes."""
    ports = stack.ports
    return Addresses(url_of(None, ports.api), url_of(None, ports.inference), key=find_key(None, stack.given))


def find_settings(environment: Mapping[str, str]) -> Settings:
    """The settings that lead to the servers: those of the stack that runs here, or else the environment's.

    Raises:
        Misconfigured: one of them is not usable.
    """
    stack = LocalStack.from_environment(environment, processes=())
    if environment.get("KAFKA_BOOTSTRAP_SERVERS") or not stack.folder.is_held():
        return read_settings()
    return Settings.model_validate({name.lower(): value for name, value in stack.environment().items()})


def read_settings() -> Settings:
    """The settings of the environment.

    Raises:
        Misconfigured: one of them is not usable.
    """
    try:
        return Settings()
    except ValidationError as error:
        problem = error.errors()[0]
        name = "_".join(str(part) for part in problem["loc"]).upper()
        raise Misconfigured(f"the setting {name} is not usable: {problem['msg']}") from error


def local_folder(environment: Mapping[str, str]) -> DataFolder:
    """The data folder of a local stack."""
    return LocalStack.from_environment(environment, processes=()).folder

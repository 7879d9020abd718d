"""docker-compose.yml as Compose reads it: variables replaced, and what was said of each service."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
COMPOSE_FILE: Final = ROOT / "docker-compose.yml"

Service = dict[str, Any]

_VARIABLE: Final = re.compile(r"\$(?:\$|\{(\w+):-([^}]*)\})")


def load_services(given: Mapping[str, str] | None = None) -> dict[str, Service]:
    """Return every service by its name.

    Args:
        given: the variables in .env; none when there is no such file.
    """
    found: dict[str, Service] = load_file(given)["services"]
    return found


def load_file(given: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the whole file with each variable replaced by what is given, else by its default."""
    text = COMPOSE_FILE.read_text(encoding="utf-8")
    loaded: dict[str, Any] = _replaced(yaml.safe_load(text), given or {})
    return loaded


def variables() -> dict[str, set[str]]:
    """Return the default of each variable that .env may set; one and only one, if all is well."""
    found: dict[str, set[str]] = {}
    for name, default in _VARIABLE.findall(COMPOSE_FILE.read_text(encoding="utf-8")):
        if name:
            found.setdefault(name, set()).add(default)
    return found


def load_example() -> dict[str, str]:
    """Return what .env.example offers: each variable with the default that it names."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    return dict(re.findall(r"^#([A-Z][A-Z0-9_]*)=(.*)$", text, flags=re.MULTILINE))


def locked_versions(lock: Path) -> set[tuple[str, frozenset[str]]]:
    """Return each requirement of a lock with its version and condition, and its hashes."""
    blocks = re.split(r"\n(?=[a-zA-Z0-9])", lock.read_text(encoding="utf-8"))
    return {
        (block.partition("\\")[0].strip(), frozenset(re.findall(r"sha256:[0-9a-f]{64}", block)))
        for block in blocks
        if "==" in block.partition("\n")[0]
    }


def _replaced(value: Any, given: Mapping[str, str]) -> Any:  # noqa: ANN401 - whatever YAML holds
    if isinstance(value, dict):
        return {key: _replaced(each, given) for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, given) for each in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: given.get(found[1]) or found[2] if found[1] else "$", value)
    return value

"""An error that the API answers is one that its document tells: same call, same status, same code."""

import functools
import re

import httpx

from api.codes import A_REASON
from api.main import api
from api.problems import MEDIA_TYPE
from app.domain.failures import SENTENCES
from app.domain.renderings import SENTENCES as OF_RENDERINGS


async def check_error(answer: httpx.Response) -> None:
    """Fail for an error that the description of its call lacks; a hook for answers."""
    if answer.headers.get("content-type") != MEDIA_TYPE:
        return
    told = _told(answer.request.method.lower(), answer.request.url.path)
    if told is None:
        return
    await answer.aread()
    code, status = answer.json()["code"], str(answer.status_code)
    assert code in told.get(status, ()), f"{answer.request.method} {answer.request.url}: {status} {code}"


def _told(method: str, path: str) -> dict[str, set[str]] | None:
    """The codes of a call by status; None where it is none that is described."""
    fitting = (calls for pattern, calls in _calls() if pattern.fullmatch(path))
    return next(fitting, {}).get(method)


@functools.cache
def _calls() -> list[tuple[re.Pattern[str], dict[str, dict[str, set[str]]]]]:
    """What there is at each path, by method and status; paths without gaps come first."""
    paths = sorted(api.openapi()["paths"].items(), key=lambda each: each[0].count("{"))
    return [
        (
            re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))),
            {method: _codes(call["responses"]) for method, call in calls.items()},
        )
        for path, calls in paths
    ]


def _codes(answers: dict[str, dict[str, str]]) -> dict[str, set[str]]:
    reasons = {*SENTENCES, *OF_RENDERINGS}
    return {
        status: {*re.findall(r"`(\w+)`", each["description"])}
        | (reasons if A_REASON in each["description"] else set())
        for status, each in answers.items()
    }

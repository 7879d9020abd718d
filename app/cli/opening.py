"""A video is shown in the browser of whoever sits here; without one, its address has to do."""

import os
import re
import sys
import tempfile
import webbrowser
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from app.cli.addresses import find_addresses, open_kadr
from app.client.core import path_of
from app.client.results import PATHS, Rendering


def open_video(
    video_id: str,
    what: Rendering,
    *,
    output: Path | None,
    within: float | None,
    api: str | None,
    notes: Console,
) -> tuple[str, bool]:
    """Show a video; answers its address and whether a browser has taken it.

    Args:
        video_id: which.
        what: of it.
        output: the file that it is saved in; None only where a key is needed.
        within: seconds that making it may take.
        api: where Kadr is, if the command line says so.
        notes: where is said what is waited for.

    Raises:
        KadrError: it is not there; the error says why.
    """
    found = find_addresses(os.environ, api=api)
    with open_kadr(found=found) as kadr:
        name = kadr.get(video_id).filename or video_id
        with notes.status(f"Waiting for {PATHS[what]} of {name} …"):
            if output is None and not found.key:
                kadr.make(video_id, what=what, within=within)
                url = f"{found.api}{path_of(video_id, PATHS[what])}"
            else:
                target = (output or _temporary(name, what)).absolute()
                kadr.download(video_id, target, what=what, within=within)
                url = target.as_uri()
    return url, has_browser(os.environ) and webbrowser.open(url)


def has_browser(environment: Mapping[str, str]) -> bool:
    """Whether somebody sits here who would see a browser; one within the terminal is none."""
    return sys.platform == "darwin" or any(
        environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )


def _temporary(name: str, what: Rendering) -> Path:
    """Return a file of our own that stays: the browser reads it after we are gone."""
    stem = re.sub(r"[^\w.-]", "_", Path(name).stem) or "video"
    ending = Path(name).suffix if what == "media" else f".{what}.mp4"
    return Path(tempfile.mkdtemp(prefix="kadr-")) / f"{stem}{ending}"

"""A run as one file: the stepper with its trace and pictures, which replays from disk without a server."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from pathlib import Path

from app.replay.bundle import bundle

FOLDER = Path(__file__).parent
STEPPER = FOLDER.parent / "stepper"
INSIDE = FOLDER.parent / "tabs" / "inside"
STYLES = (STEPPER / "stepper.css", INSIDE / "inside.css", FOLDER / "replay.css")
POLICY = (
    "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'"
)
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="AR-RAG Loupe">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
<script type="text/plain" id="trace">{trace}</script>
<script type="text/plain" id="atlas">{atlas}</script>
<script type="text/plain" id="about">{about}</script>
<script>{script}</script>
</body>
</html>
"""


def replay_page(title: str, state: str, message: str, trace: bytes, atlas: bytes) -> bytes:
    """The page as UTF-8.

    trace: as the stepper fetches it, see `pack_trace`; atlas: the encoded patch pictures of all codes; state: "ready"
    or "stopped"; message: a line above the picture, "" for none. Everything of the run is in base64, and the policy
    lets nothing run but the stepper, and nothing be fetched: no prompt or caption can do more than be read.
    """
    code, style = bundle(FOLDER / "replay.js"), "".join(map(_read, STYLES))
    about = json.dumps({"state": state, "message": message}).encode()
    page = PAGE.format(
        policy=POLICY.format(script=_hash(code), style=_hash(style)),
        title=html.escape(f"{title} - AR-RAG Loupe"),
        style=style,
        body=_read(FOLDER / "replay.html")
        .replace("<!-- stepper -->", _read(STEPPER / "stepper.html"))
        .replace("<!-- inside -->", _read(INSIDE / "inside.html")),
        trace=_base64(trace),
        atlas=_base64(atlas),
        about=_base64(about),
        script=code,
    )
    return page.encode("utf-8", "replace")


def _read(file: Path) -> str:
    """The text of a file."""
    return file.read_text(encoding="utf-8")


def _base64(data: bytes) -> str:
    """Base64, which has no character that means anything to HTML."""
    return base64.b64encode(data).decode("ascii")


def _hash(text: str) -> str:
    """What a content security policy knows an inline script or style by."""
    return _base64(hashlib.sha256(text.encode("utf-8")).digest())

"""Links that reproduce a run: prompt, model, database and settings as the query of a URL, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlencode

from app.views import Asked
from app.visits import Kept
from core.text import clean_prompt
from core.trace import Trace
from core.types import ConfigError, DecodeSettings

DIGITS = 16
"""Of the hash of the codes, so that whoever follows a link learns whether the run came out the same."""

MAX_VALUE = 1000
OTHERS = ("view", "footer", "deep_link")
"""Parameters that Gradio has its own use for; so are those that begin with two underscores."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a link asks for.

    prompt: "" to only set the widgets; step: position to stand at, -1 for the last; codes: first digits of the hash of
    the codes that came out, "" for unknown; ignored: parameters that mean nothing here.
    """

    prompt: str
    asked: Asked
    step: int
    codes: str
    ignored: tuple[str, ...]


def codes_hash(trace: Trace) -> str:
    """The first digits of the SHA-256 of the codes, as the command line prints it."""
    return hashlib.sha256(trace.codes.tobytes()).hexdigest()[:DIGITS]


def query_of(prompt: str, asked: Asked, codes: str) -> str:
    """The query of a link, "?" included; every setting is in it, so that later defaults do not change the run."""
    values = {field.name: _text(getattr(asked.settings, field.name)) for field in fields(DecodeSettings)}
    first = {"prompt": prompt, "model": asked.model, "database": asked.database}
    return "?" + urlencode({**first, **values, "codes": codes})


def parse_query(params: Mapping[str, str], start: Asked) -> Link | None:
    """The link in the parameters of a URL, missing ones as in `start`; None without any.

    Raises ConfigError for a value that does not fit, naming it.
    """
    asked_for = {name: text for name, text in params.items() if not (name.startswith("__") or name in OTHERS)}
    if not asked_for:
        return None
    for name, text in asked_for.items():
        if len(text) > MAX_VALUE:
            raise ConfigError(f"link: {name[:40]}: got {len(text)} characters, expected at most {MAX_VALUE}")
    kinds = {field.name: type(getattr(start.settings, field.name)) for field in fields(DecodeSettings)}
    settings = {name: getattr(start.settings, name) for name in kinds}
    settings |= {name: _value(name, kinds[name], text) for name, text in asked_for.items() if name in kinds}
    try:
        asked = Asked(
            asked_for.get("model", start.model), asked_for.get("database", start.database), DecodeSettings(**settings)
        )
        prompt = clean_prompt(asked_for["prompt"]) if "prompt" in asked_for else ""
    except ConfigError as error:
        raise ConfigError(f"link: {error}") from None
    step = _value("step", int, asked_for["step"]) if "step" in asked_for else -1
    known = {"prompt", "model", "database", "step", "codes", *kinds}
    ignored = tuple(sorted(name[:40] for name in asked_for if name not in known))
    return Link(prompt, asked, max(step, -1), asked_for.get("codes", "")[:DIGITS], ignored)


def _text(value: Any) -> str:
    """A setting as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _value(name: str, kind: type, text: str) -> Any:
    """Text as a setting of some kind; ConfigError when it is none."""
    if kind is str:
        return text
    if kind is tuple:
        return tuple(part for part in text.split(",") if part)
    if kind is bool and text in ("true", "false"):
        return text == "true"
    try:
        if kind is bool:
            raise ValueError
        return kind(text)
    except ValueError:
        expected = {int: "a whole number", float: "a number", bool: "true or false"}[kind]
        raise ConfigError(f"link: {name}: got {text[:40]!r}, expected {expected}") from None


def link_of(run: Kept, models: Collection[str], databases: Collection[str]) -> str:
    """The query that reproduces a run; ConfigError says why there is none. databases: those that every visitor has."""
    remedy = "download the trace or the page instead"
    if run.trace.changes or run.trace.given or run.asked.without >= 0:
        raise ConfigError(f"This run was changed by hand or began with an image, which no link can say; {remedy}.")
    if run.asked.model not in models:
        raise ConfigError(f"This run was made by a model that is not here; {remedy}.")
    if run.asked.settings.retrieves and run.asked.database not in databases:
        raise ConfigError(f"This run looked into pictures that only you have; {remedy}.")
    return query_of(run.trace.prompt, run.asked, codes_hash(run.trace) if run.trace.complete else "")


def outcome(link: Link, run: Kept) -> str:
    """What to say when a link's run is over: whether it came out as it did for whoever made the link."""
    told = [f"Left out what this page does not know: {', '.join(link.ignored)}."] if link.ignored else []
    if link.codes and link.codes != codes_hash(run.trace) and run.trace.complete:
        told.append("The codes differ from those of the link: the model or the database has changed since.")
    return " ".join(told)

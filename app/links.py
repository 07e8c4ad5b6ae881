"""Links that reproduce a run: prompt, model, database and settings as the query of a URL, and back."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from app.own import BOTH, YOURS
from app.views import Asked
from app.visits import Kept, Listed
from core.inputs.prompt import ANY_LIMIT, LONGEST_PROMPT, clean_prompt
from core.picture_file import About, about
from core.trace import Trace
from core.types import ConfigError, DecodeSettings

FEWEST_DIGITS = 8
"""Of the hash of the codes, so that whoever follows a link learns whether the run came out the same: how many must be
left of it after copying."""

MAX_VALUE = 1000
"""Letters of a value that is no prompt."""

OTHERS = ("view", "footer", "deep_link")
"""Parameters that Gradio has its own use for; so are those that begin with two underscores."""

EMBEDDING = ("embed", "hide")
"""Parameters of app/share/embed.js."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a link asks for.

    prompt: "" to only set the widgets; step: position to stand at, -1 for the last; codes: first digits of the hash of
    the codes that came out, in lower case, "" for unknown; ignored: parameters that mean nothing here.
    """

    prompt: str
    asked: Asked
    step: int
    codes: str
    ignored: tuple[str, ...]


def parse_query(params: Mapping[str, str], start: Asked) -> Link | None:
    """The link in the parameters of a URL, missing ones as in `start`; None without any that mean something here.

    What was copied with the link, a bad step and a hash that is too short are let go. Raises ConfigError for another
    value that does not fit, naming it.
    """
    said = {name.removeprefix("amp;"): text for name, text in params.items() if not _of_gradio(name)}
    kinds = {field.name: type(getattr(start.settings, field.name)) for field in fields(DecodeSettings)}
    known = {"prompt", "model", "database", "step", "codes", *kinds}
    asked_for = {name: _tidied(name, text, [*said][-1]) for name, text in said.items() if name in known}
    if not asked_for:
        return None
    for name, text in asked_for.items():
        if len(text) > (most := LONGEST_PROMPT if name == "prompt" else MAX_VALUE):
            raise ConfigError(f"link: {name}: got {len(text)} characters, expected at most {most}")
    settings = {name: getattr(start.settings, name) for name in kinds}
    settings |= {name: _value(name, kinds[name], text) for name, text in asked_for.items() if name in kinds}
    try:
        asked = Asked(
            asked_for.get("model", start.model), asked_for.get("database", start.database), DecodeSettings(**settings)
        )
        prompt = clean_prompt(asked_for["prompt"], ANY_LIMIT) if "prompt" in asked_for else ""
    except ConfigError as error:
        raise ConfigError(f"link: {error}") from None
    ignored = tuple(sorted(name[:40] for name in said if name not in known))
    return Link(prompt, asked, _step(asked_for.get("step", "")), _digits(asked_for.get("codes", "")), ignored)


def _of_gradio(name: str) -> bool:
    """Whether a parameter is none of ours."""
    return name.startswith("__") or name in (*OTHERS, *EMBEDDING)


def _tidied(name: str, text: str, last: str) -> str:
    """A value without what was copied with the link; in a prompt, only where the link ends with it."""
    if name == "prompt" != last:
        return text
    while text and _ends(text[-1]) and not (_closes(text) or (name == "prompt" and text[-1] in "!?")):
        text = text[:-1]
    return text


def _ends(char: str) -> bool:
    """Whether a character may stand behind a link in a text, and be copied with it."""
    return unicodedata.category(char)[0] in "PZ" or char in ">|`~\t\r\n\u200b\ufeff"


def _closes(text: str) -> bool:
    """Whether the bracket or quote at the end of a text was opened in it."""
    end, closing = text[-1], ")]}>"
    if end in closing:
        return text.count(end) <= text.count("([{<"[closing.index(end)])
    return end in "\"'" and text.count(end) % 2 == 0


def _step(text: str) -> int:
    """The position that a link stands at; -1, for the last, where it does not say one."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else -1


def _digits(text: str) -> str:
    """The digits of a hash that are left of it; none where they are too few to tell anything."""
    return text.lower() if re.fullmatch(f"[0-9a-fA-F]{{{FEWEST_DIGITS},64}}", text) else ""


def _value(name: str, kind: type, text: str) -> Any:
    """Text as a setting of some kind; ConfigError when it is none."""
    if kind is str:
        return text
    if kind is tuple:
        return tuple(part for part in text.split(",") if part)
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
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
        raise ConfigError(f"This run was changed by hand or began with a picture, which no link can say; {remedy}.")
    if run.asked.model not in models:
        raise ConfigError(f"This run was made by a model that is not here; {remedy}.")
    if run.asked.settings.retrieves and run.asked.database not in databases:
        raise ConfigError(f"This run looked into pictures that only you have; {remedy}.")
    trace, asked = run.trace, run.asked
    codes = trace.codes_sha256 if trace.complete else ""
    return About(trace.prompt, asked.model, asked.database, asked.settings, codes).link


def drawn_by(link: Link, runs: Sequence[Listed]) -> Listed | None:
    """The newest of some runs that a link would only draw again."""
    for run in reversed(runs):
        plain = run.complete and not run.changes and not run.given
        if plain and (run.prompt, run.asked) == (link.prompt, link.asked):
            return run
    return None


def about_run(trace: Trace, asked: Asked, position: int = -1) -> About:
    """What a saved picture of a run says of it; which pictures only one visitor has, no link can say.

    position: the one that the picture shows, -1 for the whole run.
    """
    note = ""
    if asked.settings.retrieves and asked.database in (YOURS, BOTH):
        note = "retrieved from pictures that only their owner has"
    elif asked.without >= 0:
        note = "drawn from an image of the database, without it"
    return replace(about(trace, asked.database, asked.model, note), position=position)


def outcome(link: Link, run: Kept) -> str:
    """What to say when a link's run is over: whether it came out as it did for whoever made the link."""
    notes = [f"Left out what this page does not know: {', '.join(link.ignored)}."] if link.ignored else []
    if run.trace.complete and not run.trace.codes_sha256.startswith(link.codes):
        notes.append(
            "The codes differ from those of the link: the model, the database or the way of drawing has changed since, "
            "or it was made on another kind of processor, where last digits now and then decide otherwise."
        )
    return " ".join(notes)

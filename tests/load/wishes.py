"""What simulated visitors ask for, and the codes that it has to bring: those of the same request drawn alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from typing import Any

from app.library import Library
from core.engine import generate
from core.types import Change, DecodeSettings

Codes = tuple[int, ...]
Draw = Callable[[str, Mapping[str, Any], Sequence[tuple[int, int]]], Codes]
"""Draws one picture alone: prompt, settings that differ from the defaults, (position, code) pairs that are forced."""

PROMPTS = ("a red heart, 3d style", "pizza", "a blue fish", "an owl, flat style", "a green tree", "sunflower")
SETTINGS: tuple[Mapping[str, Any], ...] = (
    {"method": "daid"},
    {"method": "model"},
    {"method": "faid+daid", "retrieval_weight": 0.3},
    {"method": "daid", "retrieval_weight": 0.6, "gate": 0},
)
FORCED = (100, 7)
"""The position and the code of every branch."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a visitor asks for, one after the other: pictures of a prompt together, and perhaps a branch of the first.

    settings: those that differ from the defaults; variants: of the pictures of a comparison, none for one picture;
    forced: position and code of the branch; codes: that every picture has to have, in the order in which they come.
    """

    prompt: str
    settings: Mapping[str, Any]
    variants: tuple[Mapping[str, Any], ...] = ()
    forced: tuple[int, int] | None = None
    codes: tuple[Codes, ...] = field(default=(), repr=False)

    @property
    def kind(self) -> str:
        """What it is called in the tables."""
        return "compare" if self.variants else "branch" if self.forced else "generate"


def plain_wish(number: int, prompts: Sequence[str] = PROMPTS, methods: Sequence[Mapping[str, Any]] = SETTINGS) -> Wish:
    """One picture: settings and seeds take turns."""
    settings = {**methods[number % len(methods)], "seed": 1000 + number}
    return Wish(prompts[number % len(prompts)], settings)


def mixed_wish(number: int, prompts: Sequence[str] = PROMPTS, methods: Sequence[Mapping[str, Any]] = SETTINGS) -> Wish:
    """Mostly one picture; every fifth is branched, every seventh a comparison of two."""
    wish = plain_wish(number, prompts, methods)
    if number % 7 == 6:
        return replace(wish, variants=({"method": "model"}, {"method": "daid"}))
    return replace(wish, forced=FORCED) if number % 5 == 4 else wish


def default_wish(number: int, prompts: Sequence[str] = PROMPTS) -> Wish:
    """One picture with the settings that the page has at first."""
    return Wish(prompts[number % len(prompts)], {})


def granted(wish: Wish, draw: Draw) -> Wish:
    """The wish with the codes that each of its pictures has to have."""
    if wish.variants:
        return replace(wish, codes=tuple(draw(wish.prompt, {**wish.settings, **each}, ()) for each in wish.variants))
    alone = draw(wish.prompt, wish.settings, ())
    branched = (draw(wish.prompt, wish.settings, (wish.forced,)),) if wish.forced else ()
    return replace(wish, codes=(alone, *branched))


def alone(library: Library) -> Draw:
    """Draws pictures with the first model and database of a library, in this process."""
    start = library.start

    def draw(prompt: str, settings: Mapping[str, Any], forced: Sequence[tuple[int, int]]) -> Codes:
        wanted = DecodeSettings.from_json({**asdict(start.settings), **settings})
        changes = [Change(position, code=code) for position, code in forced]
        database = library.databases[start.database] if wanted.retrieves else None
        return tuple(generate(library.backends[start.model], database, prompt, wanted, changes).codes.tolist())

    return draw


def endlessly(wishes: Sequence[Wish], first: int) -> Iterator[Wish]:
    """The wishes in turn, beginning at one of them."""
    return (wishes[number % len(wishes)] for number in count(first))


def complaints(wish: Wish, runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why what came is not what was asked for; nothing if it is."""
    found = []
    if len(runs) != len(wish.codes):
        found.append(f"{len(runs)} pictures instead of {len(wish.codes)}")
    for number, (run, codes) in enumerate(zip(runs, wish.codes, strict=False)):
        variant = wish.variants[number] if wish.variants else {}
        wanted = {**wish.settings, **variant}
        strange = {
            name: run["settings"].get(name) for name, value in wanted.items() if run["settings"].get(name) != value
        }
        if strange:
            found.append(f"other settings: {strange}, not {wanted}")
        if run["prompt"] != wish.prompt:
            found.append(f"another prompt: {run['prompt']!r}, not {wish.prompt!r}")
        if tuple(run["codes"]) != codes:
            first = next(
                (at for at, pair in enumerate(zip(run["codes"], codes, strict=False)) if pair[0] != pair[1]), -1
            )
            found.append(f"other codes from position {first} on than drawn alone ({wish})")
    return found

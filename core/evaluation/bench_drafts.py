"""What guessing ahead saves, and that it changes no picture: a part of `python -m core bench --suite speed`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from tqdm import tqdm

from ..backends import load_backend
from ..backends.emoji.backend import EmojiBackend
from ..engine import decode
from ..patches.catalogue import open_database
from ..patches.database import PatchDatabase
from ..types import DecodeSettings, StepRecord
from .pairs import paired
from .plain_loop import plain_picture

LENGTH = 12
"""Guesses a pass; what is chosen on this processor is told beside it."""
PROMPTS = (
    "a red heart, 3d style", "pizza", "guitar", "a kitten", "purple house", "pineapple", "waving hand, flat style",
    "video game", "rocket, noto style", "a blue car", "crown", "banana",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One way of drawing that guesses are measured for."""

    name: str
    backend: EmojiBackend
    database: PatchDatabase
    settings: DecodeSettings

    def picture(self, drafts: int, seed: int) -> list[StepRecord]:
        """A picture by the engine with so many guesses a pass: its records."""
        model = replace(self.backend, drafts=drafts)
        model.__dict__["lean"] = self.backend.lean  # laid out once
        asked, fresh = replace(self.settings, seed=seed), self.database.subset(self.database.images)
        return [step[0] for step in decode(model, fresh, [PROMPTS[seed % len(PROMPTS)]], asked)]

    def plain(self, seed: int) -> list[StepRecord]:
        """The same by the loop as it was."""
        asked, fresh = replace(self.settings, seed=seed), self.database.subset(self.database.images)
        return plain_picture(self.backend, fresh, PROMPTS[seed % len(PROMPTS)], asked)


def cases(backend: EmojiBackend, database: PatchDatabase) -> Sequence[Case]:
    """Methods model and daid of the embedded model, and the novice over a database of what it has never seen."""
    novice = load_backend("novice")
    assert isinstance(novice, EmojiBackend)
    return (
        Case("model", backend, database, DecodeSettings(method="model")),
        Case("daid", backend, database, DecodeSettings()),
        Case("unseen", novice, open_database("unseen", novice), DecodeSettings(retrieval_weight=0.4)),
    )


def figures(backend: EmojiBackend, database: PatchDatabase, runs: int) -> dict[str, float | int]:
    """Times against the plain loop (medians of pairs), codes a pass, and how many pictures are the same.

    draft_speedup: with LENGTH guesses; drawn_speedup: with as many as are chosen here; daid_against_model_before: time
    of DAiD as it is drawn here over that of method model by the plain loop.
    """
    found: dict[str, float | int] = {"draft_length_here": backend.draft_length, "draft_length": LENGTH}
    plain: dict[str, float] = {}
    for case in cases(backend, database):
        for name, drafts in (("draft", LENGTH), ("drawn", case.backend.draft_length)):
            timed = paired(case.plain, partial(case.picture, drafts), runs, f"{name}, {case.name}")
            plain[case.name], plain[f"{case.name} {name}"] = timed.before, timed.after
            found[f"{name}_speedup_{case.name}"] = round(timed.speedup, 3)
    found["daid_against_model_before"] = round(plain["daid drawn"] / plain["model"], 3)
    return found | compared(cases(backend, database), runs)


def compared(chosen: Sequence[Case], runs: int) -> dict[str, float | int]:
    """Pictures with guesses and without: how many are the same, codes a pass, and near ties that were settled."""
    found: dict[str, float | int] = {"draft_compared": 0, "draft_identical": 0, "draft_settled": 0}
    for case in chosen:
        passes = []
        for seed in tqdm(range(runs * len(PROMPTS) // 2), desc=f"same pictures, {case.name}"):
            guessed, alone = case.picture(LENGTH, seed), case.picture(0, seed)
            found["draft_compared"] += 1
            found["draft_identical"] += [step.code for step in guessed] == [step.code for step in alone]
            found["draft_settled"] += sum(step.settled for step in guessed)
            passes.append(len(guessed) / sum(step.begins for step in guessed))
        found[f"codes_per_pass_{case.name}"] = round(float(np.median(passes)), 2)
    return found

"""Pictures of the embedded models, drawn with guesses and without: the same codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from core.backends.emoji.backend import EmojiBackend
from core.draw import Race
from core.engine import decode
from core.patches.catalogue import open_database
from core.patches.database import PatchDatabase
from core.types import DecodeSettings, StepRecord

DAID = DecodeSettings(retrieval_weight=0.4)


@pytest.fixture(scope="module")
def emoji() -> EmojiBackend:
    return EmojiBackend.load()


@pytest.fixture(scope="module")
def emojis(emoji: EmojiBackend) -> PatchDatabase:
    return open_database("emoji", emoji)


def drawn(backend: EmojiBackend, database: PatchDatabase, settings: DecodeSettings, drafts: int) -> list[StepRecord]:
    return [step[0] for step in decode(replace(backend, drafts=drafts), database, ["a red heart, 3d style"], settings)]


def codes(records: Sequence[StepRecord]) -> list[int]:
    return [record.code for record in records]


@pytest.mark.parametrize(
    "settings", [DecodeSettings(method="model", seed=1), replace(DAID, seed=2)], ids=["model", "daid"]
)
def test_guesses_change_no_picture(emoji: EmojiBackend, emojis: PatchDatabase, settings: DecodeSettings) -> None:
    guessed, alone = drawn(emoji, emojis, settings, 12), drawn(emoji, emojis, settings, 0)
    assert codes(guessed) == codes(alone)
    assert sum(record.begins for record in alone) == len(alone)
    passes = sum(record.begins for record in guessed)
    assert passes < len(guessed) / 1.5, "guesses are hardly ever right: what is guessed from is wrong"
    assert all(record.guess == record.code for record, after in pairwise(guessed) if not after.begins)
    far = np.abs(np.stack([r.logits for r in guessed]) - np.stack([r.logits for r in alone])).max()
    assert far < 1e-4 * np.abs(alone[0].logits).max()


def test_a_tie_falls_the_same_way_with_guesses_and_in_a_batch(
    backend: EmojiBackend, database: PatchDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some races are called ties: what counts there is to the bit what it is without guesses, and beside others."""
    close = Race.is_close
    monkeypatch.setattr(Race, "is_close", lambda race, blend: close(race, blend) or race.waits[0] < 0.02)
    settings = DecodeSettings(method="model", seed=5)
    guessed, alone = drawn(backend, database, settings, 12), drawn(backend, database, settings, 0)
    batch = [step[0] for step in decode(backend, database, ["a red heart, 3d style", "pizza"], settings)]
    assert codes(guessed) == codes(alone) == codes(batch)
    settled = [record.position for record in alone if record.settled]
    assert settled
    for other in (guessed, batch):
        assert [record.position for record in other if record.settled] == settled
        for position in settled:
            assert np.array_equal(other[position].logits, alone[position].logits)

"""Drafts change how often the model is asked, and nothing else; near ties are settled whichever way codes came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import drafts
from core.backends.emoji.backend import EmojiBackend
from core.backends.protocol import Predicted
from core.codebook import Codebook
from core.context import Context
from core.daid import gated_weight
from core.drafts import Forecast, continuations, expected_blend
from core.draw import race
from core.engine import Request, decode, decode_together
from core.patches.database import PatchDatabase
from core.patches.protocol import ImageInfo
from core.ties import draw
from core.types import (
    Change,
    CodeArray,
    ConfigError,
    DecodeSettings,
    FloatArray,
    Grid,
    IntArray,
    Neighbours,
    StepRecord,
)

GRID, CODES = Grid(3, 4), 6
MODEL = DecodeSettings(method="model", seed=3, cfg_scale=1, temperature=1, top_p=1)


@dataclass
class Course:
    """A generation whose logits follow from the codes before a position; `passes` has how many positions each told."""

    backend: Foreseeing
    rows: int
    passes: list[int]
    codes: list[IntArray] = field(default_factory=list)

    @property
    def draft_length(self) -> int:
        return self.backend.length

    def outlook(self) -> Predicted | None:
        return None if self.backend.seen is None else Predicted(np.repeat(self.backend.seen[None], self.rows, axis=0))

    def logits(
        self, neighbours: Sequence[Neighbours | None] | None = None, drafts: IntArray | None = None
    ) -> Predicted:
        ahead = np.zeros((self.rows, 0), np.int64) if drafts is None else drafts
        before = np.array(self.codes, np.int64).reshape(-1, self.rows).T
        told = [
            [self.backend.said([*before[row], *ahead[row, :n]]) for n in range(ahead.shape[1] + 1)]
            for row in range(self.rows)
        ]
        block = np.array(told, np.float32)
        if drafts is None and self.known > 0:
            return Predicted(block[:, 0])
        self.passes.append(block.shape[1])
        self.known = block.shape[1]
        self.guess = ahead
        return Predicted(block[:, 0] if drafts is None else block)

    known: int = 0
    guess: IntArray = field(default_factory=lambda: np.zeros((1, 0), np.int64))

    def append(self, codes: IntArray) -> None:
        right = self.guess.shape[1] > 0 and bool((self.guess[:, 0] == codes).all())
        self.known, self.guess = (self.known - 1, self.guess[:, 1:]) if right else (0, self.guess[:, :0])
        self.codes.append(codes)

    def close(self) -> None:
        pass


@dataclass
class Foreseeing:
    """A model that takes drafts. length: how many it wants; seen: [S, V] its outlook."""

    length: int
    seen: FloatArray | None = None
    spread: float = 2.0
    courses: list[Course] = field(default_factory=list)
    grid: Grid = GRID
    codebook: Codebook = field(default_factory=lambda: Codebook.from_vectors(np.eye(CODES, dtype=np.float32)))

    def said(self, codes: Sequence[int]) -> FloatArray:
        """Logits [V] after some codes; they lean on the last two."""
        key = [len(codes), *(int(code) for code in codes[-2:])]
        logits: FloatArray = np.random.default_rng(key).normal(size=CODES).astype(np.float32) * np.float32(self.spread)
        return logits

    def start(self, prompts: Sequence[str], guided: bool) -> Course:
        self.courses.append(Course(self, len(prompts), []))
        return self.courses[-1]

    def decode_codes(self, grids: CodeArray) -> npt.NDArray[np.uint8]:
        return np.zeros((len(grids), 12, 16, 3), np.uint8)


def drawn(model: Foreseeing, **others: object) -> list[StepRecord]:
    return [step[0] for step in decode_together([replace(Request(model, None, "a", MODEL), **others)])]  # type: ignore[type-var]


def same(one: Sequence[StepRecord], other: Sequence[StepRecord]) -> bool:
    codes = [step.code for step in one] == [step.code for step in other]
    return codes and all((a.logits == b.logits).all() for a, b in zip(one, other, strict=True))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 14), st.integers(0, 99), st.floats(0.1, 6),
    st.lists(st.integers(0, CODES - 1), max_size=GRID.positions), st.lists(st.integers(0, CODES - 1), max_size=12),
    st.dictionaries(st.integers(0, GRID.positions - 1), st.integers(0, CODES - 1), max_size=3), st.booleans(),
)  # fmt: skip
def test_neither_guesses_nor_what_is_known_change_a_picture(
    length: int, seed: int, spread: float, known: list[int], likely: list[int], chosen: dict[int, int], canvas: bool
) -> None:
    outlook = np.random.default_rng(seed).normal(size=(GRID.positions, CODES)).astype(np.float32) if canvas else None
    asked = {
        "settings": replace(MODEL, seed=seed),
        "codes": tuple(known),
        "changes": tuple(Change(position, code=code) for position, code in sorted(chosen.items())),
    }
    guessing, plain = Foreseeing(length, outlook, spread), Foreseeing(0, None, spread)
    ahead = drawn(guessing, **asked, likely=tuple(likely))
    assert same(ahead, drawn(plain, **asked))
    assert sum(step.begins for step in ahead) == len(guessing.courses[0].passes)
    assert all(step.guess is None for step in drawn(plain, **asked))


def test_who_sees_all_coming_is_asked_as_rarely_as_can_be() -> None:
    truth = [step.code for step in drawn(Foreseeing(0))]
    seer = Foreseeing(5)
    records = drawn(seer, likely=tuple(truth))
    assert seer.courses[0].passes == [6, 6]
    assert [step.guess for step in records] == truth
    assert [step.position for step in records if step.begins] == [0, 6]


def test_a_wrong_guess_ends_its_pass_and_is_told() -> None:
    truth = [step.code for step in drawn(Foreseeing(0))]
    wrong = [*truth[:2], (truth[2] + 1) % CODES, *truth[3:]]
    records = drawn(Foreseeing(5), likely=tuple(wrong))
    assert records[2].guess == wrong[2]
    assert [step.position for step in records if step.begins][:2] == [0, 3]


def test_given_codes_are_read_in_blocks_by_batches_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "READ", 4)
    model = Foreseeing(0)
    codes = [[1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0], [0] * 12]
    rows = [Request(model, None, "a", MODEL, codes=tuple(row)) for row in codes]
    list(decode_together(rows))
    assert model.courses[0].passes == [5, 5, 2]


def test_several_pictures_share_their_passes() -> None:
    model = Foreseeing(5)
    list(decode(model, None, ["a", "b"], MODEL))
    assert model.courses[0].passes == [1] * GRID.positions


def test_a_run_that_is_left_and_gone_on_with_is_the_same() -> None:
    whole = drawn(Foreseeing(5))
    codes = tuple(step.code for step in whole[:5])
    rest = [step[0] for step in decode(Foreseeing(5), None, ["a"], MODEL, codes=codes, first=5)]
    assert same(rest, whole[5:])


def test_continuations_are_read_off_the_sources() -> None:
    codebook = Codebook.from_vectors(np.eye(CODES, dtype=np.float32))
    grids = np.arange(24, dtype=np.uint16).reshape(2, 3, 4) % CODES
    database = PatchDatabase.build(codebook, grids, [ImageInfo("a"), ImageInfo("b")], context=Context())
    place = {
        tuple(int(n) for n in np.array(database.provenance(np.array([entry])))[:, 0]): entry
        for entry in range(len(database))
    }
    found = Neighbours(
        np.array([int(grids[1, 1, 1]), int(grids[0, 1, 2])]), np.array([0.0, 0.1], np.float32),
        np.array([place[1, 1, 1], place[0, 1, 2]]),
    )  # fmt: skip
    asked = DecodeSettings(retrieval_temperature=0.1, gate=0.5, retrieval_weight=0.4)
    going_on = continuations(database, found, asked, position=5, count=5)  # row 1, column 1
    assert going_on is not None
    # positions 5, 6, 7 (same row), 8 (next row, column 0), 9
    assert going_on.codes.tolist() == [
        [grids[1, 1, 1], grids[1, 1, 2], grids[1, 1, 3], grids[1, 2, 0], grids[1, 2, 1]],
        [grids[0, 1, 2], grids[0, 1, 3], -1, grids[0, 2, 1], grids[0, 2, 2]],
    ]
    assert going_on.shares == pytest.approx(np.array([1, np.exp(-1)]) / (1 + np.exp(-1)), rel=1e-6)
    assert going_on.weight == pytest.approx(gated_weight(0.4, 0.5, found.distances))
    dropped = replace(found, weights=np.zeros(2, np.float32))
    assert continuations(database, dropped, asked, 5, 5) is None
    assert continuations(database, found, replace(asked, method="model"), 5, 5) is None


def test_the_expected_blend_by_hand() -> None:
    logits = np.log(np.array([[0.5, 0.49, 0.01], [0.2, 0.2, 0.6]], np.float32))
    asked = replace(MODEL, temperature=1)
    alone = expected_blend(logits, None, asked)
    assert alone == pytest.approx(np.array([[0.5 / 0.99, 0.49 / 0.99, 0], [0.2, 0.2, 0.6]]), rel=1e-5)
    going_on = drafts.Continuations(np.array([[2, -1], [0, 0]]), np.array([0.75, 0.25]), 0.5)
    mixed = expected_blend(logits, going_on, asked)
    assert mixed[0] == pytest.approx([0.25 / 0.99 + 0.125, 0.245 / 0.99, 0.375], rel=1e-5)
    assert mixed[1] == pytest.approx([0.1 + 0.125, 0.1, 0.3], rel=1e-5)


def test_what_was_heard_counts_more_than_what_seemed_likely() -> None:
    logits = np.full((4, 3), -9, np.float32)
    logits[:, 1] = 9
    forecast = Forecast(logits, np.array([2, 2, -1, -1]), MODEL)
    assert forecast.guess(0, 4, None).tolist() == [2, 2, 1, 1]
    heard = np.array([[9, -9, -9]], np.float32)
    forecast.hear(1, heard)
    assert forecast.guess(0, 4, None).tolist() == [2, 0, 1, 1]


def test_only_races_that_are_all_but_tied_are_settled() -> None:
    logits = np.array([3.0, 1.0, 0.0], np.float32)
    other = np.array([0.0, 0.0, 30.0], np.float32)
    plain = draw(logits, None, MODEL, 0, None)
    clear = draw(logits, None, MODEL, 0, lambda: other)
    assert (clear.code, clear.settled) == (plain.code, False)
    waits = race(MODEL.seed, 0, 3).waits
    tied = np.log(waits * np.array([1, 1 + 1e-5, 1e-9])).astype(np.float32)  # the first two arrive together
    settled = draw(tied, None, MODEL, 0, lambda: other)
    assert (settled.code, settled.settled) == (2, True)
    assert settled.logits is other
    assert draw(tied, None, MODEL, 0, None).code in (0, 1)


def test_blenders_take_no_guesses(backend: EmojiBackend) -> None:
    decoding = backend.start(["a heart"], True, 2)
    with pytest.raises(ConfigError, match="got neighbours and drafts, expected one of them"):
        decoding.logits([None], np.zeros((1, 3), np.int64))

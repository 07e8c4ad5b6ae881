"""What every backend has to keep to, as checks that raise AssertionError: `check_backend(my_backend)` runs them all.

They run over this project's own models, too. Checks of what a backend leaves out do nothing. Numbers are compared with
a tolerance that is relative to their size: sums in another order differ in their last digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .backends.complete import complete, drafting, inspecting
from .backends.protocol import Backend, Decoding, Predicted, SmallBackend, replay_in_turn
from .engine import decode
from .trace import Trace
from .types import ConfigError, FloatArray, Neighbours

PROMPTS: Final = ("a small heart", "a big pizza")
"""What is drawn where nothing else is said: a model that knows certain words only is checked with two of its own."""

RELATIVE: Final = 1e-4
LEAST_SIZE: Final = 1e-6
HALF: Final = 1e-3
"""What numbers in half precision that sum to one may be off by."""


def check_backend(backend: SmallBackend, prompts: Sequence[str] = PROMPTS) -> None:
    """All checks, in turn; AssertionError says what does not hold. prompts: two that the model takes."""
    assert len(prompts) == 2, f"prompts: got {len(prompts)}, expected two that the model takes"
    for check in CHECKS:
        check(complete(backend), prompts)


def members(backend: Backend, prompts: Sequence[str] = PROMPTS) -> None:
    """It says what it is, and its sizes fit together."""
    assert backend.name, "name: got nothing, expected a short one"
    assert backend.fingerprint, "fingerprint: got nothing, expected a hash of all that decides what it draws"
    assert backend.grid.positions > 0, f"grid: got {backend.grid}, expected at least one position"
    _close("length of the code vectors", np.linalg.norm(backend.codebook.vectors, axis=1), np.float32(1))
    grids = np.zeros((2, backend.grid.height, backend.grid.width), np.uint16)
    pictures = backend.decode_codes(grids)
    shape = (2, backend.pixels, backend.pixels, 3)
    assert pictures.shape == shape, f"decode_codes: got {pictures.shape}, expected {shape}"
    assert pictures.dtype == np.uint8, f"decode_codes: got {pictures.dtype}, expected uint8"
    assert backend.pixels % backend.grid.height == 0, "pixels: expected a whole number of them for every code"


def logits(backend: Backend, prompts: Sequence[str] = PROMPTS) -> None:
    """One row a prompt, one column a code, with a finite maximum; asked for again, they are the same."""
    for guided in (True, False):
        decoding = backend.start(prompts, guided)
        predicted = decoding.logits()
        assert (predicted.unconditional is not None) == guided, "unconditional logits are for guidance, and only for it"
        for rows in _rows(predicted):
            size = (len(prompts), backend.codebook.size)
            assert rows.shape == size, f"logits: got {rows.shape}, expected {size}"
            assert rows.dtype == np.float32, f"logits: got {rows.dtype}, expected float32"
            assert np.isfinite(rows.max(axis=1)).all(), "logits: got a row without a finite maximum"
        _close("logits that are asked for again", _stacked(decoding.logits()), _stacked(predicted))
        decoding.close()


def independence(backend: Backend, prompts: Sequence[str] = PROMPTS) -> None:
    """Rows do not depend on each other, and neither do generations that take turns."""
    together = _course(backend, prompts, [[3, 8], [4, 9], [5, 1]])
    alone = [list(_course(backend, [prompt], codes)) for prompt, codes in zip(prompts, _COLUMNS, strict=True)]
    courses = [_course(backend, [prompt], codes) for prompt, codes in zip(prompts, _COLUMNS, strict=True)]
    turns = zip(*courses, strict=True)
    for step, (both, taking_turns) in enumerate(zip(together, turns, strict=True)):
        for row in range(len(prompts)):
            _close("logits of a generation that takes turns", taking_turns[row], alone[row][step])
            _close("logits of one row of two", both[:, row : row + 1], alone[row][step])


def replays(backend: Backend, prompts: Sequence[str] = PROMPTS) -> None:
    """Codes that are read at once leave off where codes that are appended one by one do."""
    count = min(backend.grid.width + 1, backend.grid.positions - 2)
    codes = np.random.default_rng(0).integers(0, backend.codebook.size, (2, count))
    slow, fast = (backend.start(prompts, guided=True) for _ in range(2))
    replay_in_turn(slow, codes, None)
    fast.replay(codes, None)
    for _ in range(2):
        _close("logits after codes that were read at once", _stacked(fast.logits()), _stacked(slow.logits()))
        for decoding in (slow, fast):
            decoding.append(np.array([1, 0]))
    for decoding in (slow, fast):
        decoding.close()


def drafts(backend: Backend, prompts: Sequence[str] = PROMPTS) -> None:
    """Where it takes guesses: a pass over several positions tells what one pass for each does, right guesses are known
    afterwards, and wrong ones leave nothing behind."""
    slow, fast = (backend.start(prompts[:1], guided=True) for _ in range(2))
    if (guessing := drafting(fast)) is None:
        return
    codes = np.random.default_rng(1).integers(0, backend.codebook.size, min(6, backend.grid.positions - 1))
    alone = []
    for code in codes:
        alone.append(_stacked(slow.logits()))
        slow.append(np.array([code]))
    guesses = codes[None, :-1].copy()
    guesses[0, 3:] = (guesses[0, 3:] + 1) % backend.codebook.size
    block = guessing.logits(None, guesses)
    for place, code in enumerate(codes):
        told = _stacked(block.at(place)) if place <= 3 else _stacked(fast.logits())
        _close("logits of a position of several", told, alone[place])
        _close("logits that are known already", _stacked(fast.logits()), alone[place])
        fast.append(np.array([code]))
    for decoding in (slow, fast):
        decoding.close()


def a_picture(backend: Backend, prompts: Sequence[str] = PROMPTS) -> None:
    """A whole picture is drawn with its default settings and no database; the same seed draws it again."""
    settings = replace(backend.defaults, method="model", seed=1)
    first, again = ([step[0] for step in decode(backend, None, prompts[:1], settings)] for _ in range(2))
    trace = Trace.record(backend, None, prompts[0], settings, first)
    assert trace.complete, f"picture: got {len(first)} codes, expected {backend.grid.positions}"
    assert [r.code for r in first] == [r.code for r in again], "picture: got other codes from the same seed"


def pictures(backend: Backend, prompts: Sequence[str] = PROMPTS) -> None:
    """Where it encodes pictures: they become codes, and what these decode to becomes mostly the same ones."""
    shown = discs(backend.pixels)
    try:
        grids = backend.encode_images(shown)
    except ConfigError:  # it encodes none
        return
    shape = (2, backend.grid.height, backend.grid.width)
    assert grids.shape == shape, f"encode_images: got {grids.shape}, expected {shape}"
    assert grids.dtype == np.uint16, f"encode_images: got {grids.dtype}, expected uint16"
    assert grids.max() < backend.codebook.size, "encode_images: got a code that the codebook has not"
    assert (grids[0] != grids[1]).any(), "encode_images: got the same codes for a picture and its negative"
    kept = float((backend.encode_images(backend.decode_codes(grids)) == grids).mean())
    assert kept > 0.6, f"encode_images: got back {kept:.0%} of the codes of a decoded picture, expected most"


def captions(backend: Backend, prompts: Sequence[str] = PROMPTS) -> None:
    """Where it embeds captions: unit vectors, or zero where no word is known; and what made them has a name."""
    if not backend.caption_encoder:
        return
    lengths = np.linalg.norm(backend.embed_captions(["a kitten", "a cat", "a lorry"]), axis=1)
    _close("length of the caption vectors", lengths[lengths > 0], np.float32(1))
    assert len(lengths) == 3, f"embed_captions: got {len(lengths)} vectors, expected one for each text"


def blenders(backend: Backend, prompts: Sequence[str] = PROMPTS) -> None:
    """Where it has blenders: neighbours, their absence and no blenders are three things, told in its records."""
    if backend.faid is None:
        return
    decoding = backend.start(prompts, True, faid_neighbours=3)
    blank, bare = decoding.counterfactuals()
    _close("logits on blank features", decoding.logits([None, None]).conditional, blank)
    _close("logits without blenders", decoding.logits(None).conditional, bare)
    found = decoding.logits([near(5, 6, 7, 8), None]).conditional
    assert np.abs(found[0] - blank[0]).max() > 0, "logits: got the same with neighbours and without"
    _close("the row without neighbours", found[1], blank[1])
    here, nothing = decoding.blends(np.array([5, 9]))
    assert (here.present, nothing.present) == (3, 0), "blends: got another number of features than the nearest ones"
    for step in (here, nothing):
        size = (len(step.layers), 3)
        assert step.compatibility.shape == step.start_cosine.shape == step.code_cosine.shape == size, "blends: shapes"
        assert ((step.compatibility >= 0) & (step.compatibility <= 1)).all(), "compatibility: expected 0..1"
        _close("sum of the hop weights", step.hop_weights.sum(-1), np.float32(1))
    decoding.close()


def inside(backend: Backend, prompts: Sequence[str] = PROMPTS) -> None:
    """Where it shows its inside: attention sums to 1 over what came before, and the last lens is its own prediction."""
    codes = np.array([3, 8, 4, 9]) % backend.codebook.size
    try:
        shown = inspecting(backend)
    except ConfigError:
        return
    for found in (None, [None, near(5, 6, 7), None, None]) if backend.faid else (None,):
        features = 2 if found else 0
        seen = shown.inspect(prompts[0], codes, found, features)
        weights, words = seen.attention.astype(np.float64), len(seen.words)
        _close("sum of the attention", weights.sum(axis=-1), np.ones(weights.shape[:-1]), HALF)
        later = np.triu(np.ones((len(codes), len(codes) - 1)))
        assert not (weights[..., words:] * later).any(), "attention: got some to codes that were not there yet"
        decoding = backend.start(prompts[:1], False, features)
        for position, code in enumerate(codes):
            row = decoding.logits([found[position]] if found else None).conditional[0].astype(np.float64)
            chances = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
            _close("the last lens", seen.chances[-1, position, 0], chances.max())
            _close("the last lens of the code that was taken", seen.taken[-1, position], chances[code])
            decoding.append(codes[position : position + 1])
        decoding.close()


CHECKS: Final[tuple[Callable[[Backend, Sequence[str]], None], ...]] = (
    members, logits, independence, replays, drafts, a_picture, pictures, captions, blenders, inside,
)  # fmt: skip


def near(*codes: int) -> Neighbours:
    """Neighbours with these codes, the nearest first."""
    return Neighbours(np.array(codes), np.linspace(0, 1, len(codes), dtype=np.float32), np.arange(len(codes)))


_COLUMNS = ([[3], [4], [5]], [[8], [9], [1]])


def _course(backend: Backend, prompts: Sequence[str], codes: Sequence[Sequence[int]]) -> Iterator[FloatArray]:
    """Logits [kinds, B, V] of a generation at its first positions, where these codes are taken."""
    decoding: Decoding = backend.start(prompts, guided=True)
    for chosen in codes:
        yield _stacked(decoding.logits())
        decoding.append(np.array(chosen) % backend.codebook.size)
    decoding.close()


def _rows(predicted: Predicted) -> list[FloatArray]:
    """Conditional, unconditional and negative logits, those that are there."""
    kinds = (predicted.conditional, predicted.unconditional, predicted.negative)
    return [rows for rows in kinds if rows is not None]


def _stacked(predicted: Predicted) -> FloatArray:
    """All logits [kinds, B, V]."""
    return np.stack(_rows(predicted))


def _close(what: str, got: Any, expected: Any, relative: float = RELATIVE) -> None:
    """AssertionError when a value is farther from the expected one than a ten-thousandth of the size of all of them."""
    ours, theirs = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    size = max(float(np.sqrt(np.mean(theirs**2))) if theirs.size else 0.0, LEAST_SIZE)
    away = float(np.abs(ours - theirs).max(initial=0))
    assert away <= relative * size, f"{what}: got values that are off by {away:.2g}, expected {relative * size:.2g}"


def discs(side: int) -> npt.NDArray[np.uint8]:
    """A disc and its negative [2, side, side, 3]."""
    rows, columns = (np.mgrid[:side, :side] - side / 2) * 128 / side
    disc = np.full((side, side, 3), 255, np.uint8)
    disc[rows**2 + columns**2 < 2000] = (220, 30, 40)
    return np.stack([disc, 255 - disc])

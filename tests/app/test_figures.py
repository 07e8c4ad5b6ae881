"""Figures of a position and of several runs say the numbers of the trace, in words and in pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageColor

from app.charts import BLENDED, MODEL, RETRIEVAL
from app.figures.position import PICTURE, Seen, bars_of, codes_of, position_figure
from app.figures.several import common_line, headings, several_figure
from app.figures.sheet import INK, QUERY, SCALE, cell_of, lines_of, part_of, shortened
from app.figures.words import caption, percent, position_sentence, settings_line
from app.plans import sweep_plan
from app.session import Session
from app.views import Asked
from core.types import Change, CodeArray, ConfigError, DecodeSettings
from tests.app.test_views import faid_trace, small_trace

ASKED = Asked("novice", "unseen", DecodeSettings(seed=5, retrieval_weight=0.75, retrieval_temperature=0.3))


def seen(settings: str = "how it was drawn") -> Seen:
    """Three by two cells of eight pixels, each code a grey of its own; the source pictures are red."""

    def decode(grids: CodeArray) -> np.ndarray:
        cells = (grids * 60 + 20).astype(np.uint8).repeat(8, axis=1).repeat(8, axis=2)
        return np.stack([cells] * 3, axis=-1)

    codes = np.array([[0, 0, 0], [0, 2, 3]], np.uint16)
    red = np.zeros((16, 24, 3), np.uint8) + np.array([200, 0, 0], np.uint8)
    return Seen(decode(codes[None])[0], codes, decode, lambda image: red, "a prompt", settings)


def count(picture: Image.Image, colour: str) -> int:
    """How many pixels have exactly a colour."""
    return int((np.asarray(picture) == ImageColor.getrgb(colour)).all(axis=2).sum())


def test_texts_are_broken_where_they_are_too_long() -> None:
    assert lines_of("one  two\nthree\x07", 14, 0) == ["one two three"]
    assert lines_of("a word and another", 14, 60) == ["a word", "and", "another"]
    assert "".join(lines_of("x" * 60, 14, 100)) == "x" * 60
    assert max(map(len, lines_of("x" * 60, 14, 100))) < 15
    assert shortened("short", 12, 100) == "short"
    assert shortened("a caption that is too long to be shown", 12, 100).endswith("…")


def test_cells_are_where_they_are() -> None:
    assert cell_of((10, 20, 48, 32), 4, 2, 3) == (26, 36, 16, 16)
    part = part_of(seen().drawn, range(1, 2), range(1, 3), 2, 3)
    assert part.shape == (8, 16, 3)
    assert (part[0, 0, 0], part[0, 8, 0]) == (140, 200)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.0001, "<0.1 %"), (0.004, "0.4 %"), (0.0994, "9.9 %"), (0.0995, "10 %"), (1, "100 %")],
)
def test_shares_are_written_as_on_the_page(share: float, text: str) -> None:
    assert percent(share) == text


def test_the_sentence_says_what_decided() -> None:
    trace = small_trace()
    flip = position_sentence(trace.explain(4))
    model, mixed = (percent(float(chances[2])) for chances in (trace.blend(4).model, trace.blend(4).blended))
    assert flip.startswith("With the same luck and nothing looked up here, the model would have drawn code 1 (")
    assert flip.endswith(f"The look-up took code 2 from {model} to {mixed}, and it was drawn: a flip.")
    assert position_sentence(trace.explain(0)).startswith("Nothing was looked up here (first row): code 0 was drawn")
    by_hand = replace(trace, changes=(Change(4, code=2),))
    assert position_sentence(by_hand.explain(4)) == "Code 2 was chosen by hand, not drawn."
    unknown = position_sentence(faid_trace(recorded=False).explain(4))
    assert unknown.endswith("what would have been drawn with nothing looked up was not recorded.")
    same = replace(trace, steps=(*trace.steps[:4], replace(trace.steps[4], code=2), trace.steps[5]))
    calm = replace(same, settings=replace(same.settings, retrieval_weight=0.0))
    assert "a flip" not in position_sentence(calm.explain(4))


def test_the_caption_says_how_it_was_drawn() -> None:
    assert settings_line(ASKED) == "Novice · DAiD · looks up in Unseen · λ 0.75 · τ 0.3 · K 64 · seed 5"
    whole = caption(small_trace(), ASKED)
    assert whole.startswith("“a prompt”, drawn code by code with AR-RAG (Novice, DAiD, looks up in Unseen, λ 0.75,")
    assert whole.endswith("Looked up at 1 of 6 patches; that changed 1 of them with the same luck.")
    assert "Position 4 (row 1, column 1): with the same luck" in caption(small_trace(), ASKED, 4)
    assert caption(faid_trace(recorded=False), ASKED).endswith("what that changed was not recorded.")


def test_bars_are_those_that_differ() -> None:
    assert [name for _, name, _ in bars_of(small_trace().explain(4))] == ["model", "look-up", "mix"]
    assert [name for _, name, _ in bars_of(small_trace().explain(0))] == ["model"]
    blended = bars_of(faid_trace("faid+daid").explain(4))
    assert [name for _, name, _ in blended] == ["nothing looked up", "with blenders", "look-up", "mix"]
    here = small_trace().explain(4)
    sure = np.array([0, 0, 1.0, 0])
    assert codes_of(here, (("model", "model", sure),)) == [2, 1], "the code that was taken, and that without look-up"
    assert codes_of(small_trace().explain(0), (("model", "model", sure),)) == [0, 2]


def test_a_position_is_drawn_with_context_sources_and_bars() -> None:
    figure = position_figure(small_trace().explain(4), seen())
    assert figure.width == 1000 * SCALE
    for colour in (MODEL, RETRIEVAL, BLENDED, QUERY, INK):
        assert count(figure, colour) > 200, colour
    assert count(figure, "#c80000") > 1000, "the source pictures"
    alone = position_figure(small_trace().explain(0), seen())
    assert count(alone, QUERY) == count(alone, RETRIEVAL) == count(alone, "#c80000") == 0
    assert count(alone, MODEL) > 200


def test_bars_are_as_long_as_the_chances_are() -> None:
    here = small_trace().explain(4)
    figure = position_figure(here, seen())
    code = here.step.code
    lengths = [count(figure, colour) for colour in (MODEL, BLENDED)]
    bars = {name: chances for _, name, chances in bars_of(here)}
    listed = codes_of(here, bars_of(here))
    wanted = [float(bars[name][listed].sum()) for name in ("model", "mix")]
    key = 46 * 3 * SCALE**2  # the same for both: the mark in the table's head
    assert (lengths[0] - key) / (lengths[1] - key) == pytest.approx(wanted[0] / wanted[1], rel=0.05)
    assert code in listed


def test_the_position_is_outlined_where_it_is() -> None:
    drawn = np.asarray(position_figure(small_trace().explain(4), seen()))
    top = next(y for y in range(200, len(drawn)) if (drawn[y, 64 + 8] == (20, 20, 20)).all())
    left, right = 64 + PICTURE * SCALE / 3, 64 + 2 * PICTURE * SCALE / 3
    middle = round(top + 0.75 * PICTURE * SCALE * 2 / 3)
    ink = [x for x in range(64, 64 + 800) if (drawn[middle, x] == ImageColor.getrgb(INK)).all()]
    assert min(ink) == pytest.approx(left - 2, abs=3)
    assert max(x for x in ink if x < right + 20) == pytest.approx(right + 2, abs=3)


@pytest.fixture(scope="module")
def swept(session: Session) -> tuple:
    asked = Asked("fake", "all", DecodeSettings(seed=3))
    plan = sweep_plan(asked, "retrieval_weight", "0, 0.8", "seed", "1, 2, 3")
    *_, sheet = session.drawing.draw_sweep("sweeper", "a disc", lambda: plan)
    return sheet.runs


def test_a_sweep_says_what_varies_and_what_is_common(swept: tuple) -> None:
    assert headings(swept, 2) == (("λ 0", "λ 0.8"), ("seed 1", "seed 2", "seed 3"))
    assert headings(swept[:2], 2) == (("λ 0", "λ 0.8"), ("",))
    assert headings(swept[::2], 1) == (("",), ("seed 1", "seed 2", "seed 3"))
    assert common_line(swept) == "fake · DAiD · looks up in all · τ 0.1 · K 64"
    with pytest.raises(ConfigError, match="got 6 pictures in 4 columns, expected full rows"):
        headings(swept, 4)


def test_a_sweep_is_drawn_with_all_its_pictures(swept: tuple) -> None:
    colours = ["#0a0b0c", "#141516", "#1e1f20", "#28292a", "#323334", "#3c3d3e"]
    plain = [np.full((8, 8, 3), ImageColor.getrgb(colour), np.uint8) for colour in colours]
    figure = np.asarray(several_figure(swept, plain, 2))
    places = [np.argwhere((figure == ImageColor.getrgb(colour)).all(axis=2)).mean(axis=0) for colour in colours]
    assert [row for row, _ in places] == sorted(row for row, _ in places)
    assert all(left < right for (_, left), (_, right) in zip(places[::2], places[1::2], strict=True))

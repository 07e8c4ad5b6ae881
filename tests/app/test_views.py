"""The views against numbers worked out by hand, and the packed file read back as the page reads it."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app import packing, pictures, views
from app.session import Session
from app.views import Asked
from core.context import Context
from core.daid import Blend, neighbour_shares
from core.trace import Origin, Source, Trace
from core.types import (
    Change,
    DecodeSettings,
    FaidStep,
    Grid,
    Neighbours,
    Retrieval,
    Seconds,
    Skipped,
    StepRecord,
)
from tests.app.asking import first_run

LOGITS = np.log(np.array([0.5, 0.25, 0.125, 0.125], np.float32))
NO_TIME = Seconds(0.0, 0.0, 0.0)
SEED = 2317
NOISE = (-0.75267, 0.69212, 0.02141, -0.43815)
"""That of the seed at position 4, rounded."""
ASKED = Asked("fake", "all", DecodeSettings())
FOUND = Neighbours(
    codes=np.array([2, 2, 1]),
    distances=np.array([0.0, 0.0, np.log(2)], np.float32),
    entries=np.array([0, 2, 1]),
)


def small_trace(settings: DecodeSettings | None = None) -> Trace:
    """Two rows of three codes; only position 4 retrieves, and its noise takes code 1 alone, code 2 with retrieval."""
    steps = [StepRecord(p, LOGITS, Skipped("first row"), 0, None, NO_TIME) for p in range(4)]
    steps.append(StepRecord(4, LOGITS, Retrieval(np.zeros(4, np.int64), FOUND), 2, None, NO_TIME))
    steps.append(StepRecord(5, LOGITS, Skipped("last column"), 3, None, NO_TIME))
    codes = np.zeros((2, 3), np.uint16)
    sources = {i: Source(i, f"caption {i}", "flat", "", "somewhere", codes) for i in range(3)}
    plain = DecodeSettings(
        seed=SEED, temperature=1.0, top_p=1.0, retrieval_weight=0.5, retrieval_temperature=1.0, gate=0.0, n_neighbours=3
    )
    origin = Origin("fake", "m", None, "c", 4, "d", Context())
    return Trace("a prompt", settings or plain, origin, Grid(2, 3), tuple(steps), sources)


def blended(position: int, recorded: bool) -> FaidStep:
    """Two blenders with three features; position 4 has two neighbours' and a blank one, the others blank ones only."""
    here = position == 4
    return FaidStep(
        layers=np.array([0, 3]),
        hops=np.array([1, 2]),
        present=2 if here else 0,
        compatibility=np.array([[0.5, 0.25, 0.1], [0.9, 0.3, 0.2]] if here else [[0.1] * 3, [0.2] * 3], np.float32),
        hop_weights=np.array([[0.63, 0.37], [0.5, 0.5]], np.float32),
        share=np.array([0.05, 0.125], np.float32),
        start_cosine=np.array([[1, 0.5, 0], [-0.5, 0.123456, 0]], np.float32) * here,
        code_cosine=np.array([[0.75, 0.5, 0], [1, 0.25, 0]], np.float32) * here,
        blank=(LOGITS[::-1] if here else LOGITS) if recorded else None,
        unblended=np.zeros(4, np.float32) if recorded else None,
    )


def faid_trace(method: str = "faid", recorded: bool = True) -> Trace:
    """The same steps with blenders; with nothing retrieved position 4 takes code 3, and without blenders code 1."""
    plain = small_trace()
    settings = replace(plain.settings, method=method, faid_neighbours=3, record_unblended=recorded)
    steps = tuple(replace(step, faid=blended(step.position, recorded)) for step in plain.steps)
    if method == "faid":  # nothing is mixed, so the model takes its own
        steps = (*steps[:4], replace(steps[4], code=1), steps[5])
    return replace(plain, settings=settings, steps=steps)


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, views.Array]]:
    """Header and arrays of a packed trace."""
    assert data[:8] == packing.MAGIC
    length = struct.unpack("<I", data[8:12])[0]
    header = json.loads(data[16 : 16 + length])
    base = 16 + -(-length // 8) * 8
    kinds = {"u8": "u1", "i8": "i1", "u16": "<u2", "i16": "<i2", "i32": "<i4", "f32": "<f4"}
    arrays = {
        name: np.frombuffer(data, kinds[at["kind"]], at["count"], base + at["offset"])
        for name, at in header["arrays"].items()
    }
    return header, arrays


def test_step_arrays_hold_the_hand_computed_numbers() -> None:
    arrays = views.step_arrays(small_trace())
    assert arrays["code"].tolist() == [0, 0, 0, 0, 2, 3]
    assert arrays["without"].tolist() == [0, 0, 0, 0, 1, 3]
    assert arrays["mix"].tolist() == [0, 0, 0, 0, 0.5, 0]
    assert arrays["found"].tolist() == [0, 0, 0, 0, 3, 0]
    assert arrays["kl"][4] == pytest.approx(0.2960, abs=1e-4)
    assert arrays["kl"][0] == 0
    assert arrays["entropy"][4] == pytest.approx([1.2130, 0.5004, 1.2127], abs=1e-3)
    assert np.isnan(arrays["entropy"][0, 1])
    assert arrays["nearest"][4] == 0
    assert np.isnan(arrays["nearest"][5])


def test_reasons_are_numbered_and_retrieving_positions_have_none() -> None:
    trace = small_trace()
    assert views.reason_table(trace.steps) == ["first row", "last column"]
    assert views.step_arrays(trace)["reason"].tolist() == [0, 0, 0, 0, -1, 1]


def test_top_codes_are_listed_by_blend_with_their_noise() -> None:
    arrays = views.step_arrays(small_trace())
    assert arrays["top_code"][4].tolist() == [2, 0, 1, 3]
    assert arrays["top_blended"][4] == pytest.approx([0.4625, 0.25, 0.225, 0.0625])
    assert arrays["top_model"][4] == pytest.approx([0.125, 0.5, 0.25, 0.125])
    assert arrays["top_retrieval"][4] == pytest.approx([0.8, 0, 0.2, 0])
    assert arrays["top_noise"][4] == pytest.approx([NOISE[code] for code in (2, 0, 1, 3)], abs=1e-5)


def test_the_race_is_told_by_its_winners_those_behind_them_and_the_margins() -> None:
    arrays = views.step_arrays(small_trace())
    with_retrieval = np.log([0.25, 0.225, 0.4625, 0.0625]) + NOISE
    alone = np.log([0.5, 0.25, 0.125, 0.125]) + NOISE
    assert (int(with_retrieval.argmax()), int(alone.argmax())) == (2, 1)
    assert arrays["seconds"][4].tolist() == [0, 1]  # had nothing been retrieved, and as it was
    assert arrays["margin"][4] == pytest.approx([alone[1] - alone[0], with_retrieval[2] - with_retrieval[1]], abs=1e-4)
    assert arrays["own"].tolist() == arrays["code"].tolist()
    assert "u" not in arrays


@pytest.mark.parametrize("method", ["daid", "faid"])
def test_whoever_is_furthest_in_the_listed_race_is_who_the_arrays_name(session: Session, method: str) -> None:
    asked = DecodeSettings(
        seed=5, method=method, n_neighbours=8, retrieval_weight=0.5, gate=0.0, record_unblended=method == "faid"
    )
    list(session.drawing.draw(f"racer {method}", "sun", lambda: Asked("fake", "all", asked)))
    trace = first_run(session, f"racer {method}").trace
    arrays = views.step_arrays(trace)
    before = "blank" if method == "faid" else "model"
    lanes = [("blended", "pick", 1), (before, "without", 0)]
    for row, codes in enumerate(arrays["top_code"]):
        for name, winner, place in lanes:
            with np.errstate(divide="ignore"):
                scores = np.log(arrays[f"top_{name}"][row]) + arrays["top_noise"][row]
            second, first = np.argsort(scores)[-2:]
            assert codes[first] == arrays[winner][row]
            if np.isfinite(scores[second]):
                assert codes[second] == arrays["seconds"][row][place]
                assert arrays["margin"][row][place] == pytest.approx(scores[first] - scores[second], abs=1e-4)
    assert len(trace.flips()) == (arrays["pick"] != arrays["without"]).sum() > 0


def test_an_old_trace_is_told_by_its_uniforms() -> None:
    plain = small_trace()
    uniforms = (0.1, 0.1, 0.1, 0.1, 0.6, 0.9)
    steps = tuple(replace(step, u=u) for step, u in zip(plain.steps, uniforms, strict=True))
    arrays = views.step_arrays(replace(plain, steps=steps, rule="inverse cdf"))
    assert arrays["u"] == pytest.approx(uniforms)
    assert arrays["without"].tolist() == [0, 0, 0, 0, 1, 3]
    assert np.isnan(arrays["margin"]).all()
    assert "top_noise" not in arrays


def test_top_codes_always_hold_the_ones_that_were_taken() -> None:
    model = np.array([0.4, 0.3, 0.2, 0.1])
    blend = Blend(model, None, model, 0.0)
    assert views.top_codes(blend, keep=(3, 3), count=2).tolist() == [0, 3]


def test_neighbours_come_with_their_cell_and_empty_places_are_marked() -> None:
    arrays = views.step_arrays(small_trace())
    assert arrays["near_image"][4, :4].tolist() == [0, 2, 1, -1]
    assert arrays["near_row"][4, :3].tolist() == [1, 1, 1]
    assert arrays["near_col"][4, :3].tolist() == [1, 1, 1]
    assert arrays["near_share"][4].sum() == pytest.approx(1)
    assert (arrays["near_image"][0] == -1).all()


def test_blenders_are_packed_as_they_were_recorded() -> None:
    arrays = views.step_arrays(faid_trace())
    assert arrays["faid_present"].tolist() == [0, 0, 0, 0, 2, 0]
    assert arrays["faid_compatibility"].shape == (6, 2, 3)
    assert arrays["faid_compatibility"][4].tolist() == [[5000, 2500, 1000], [9000, 3000, 2000]]
    assert arrays["faid_start_cosine"][4].tolist() == [[10000, 5000, 0], [-5000, 1235, 0]]
    assert arrays["faid_code_cosine"][4].tolist() == [[7500, 5000, 0], [10000, 2500, 0]]
    assert arrays["faid_hop_weights"][0] == pytest.approx(np.array([[0.63, 0.37], [0.5, 0.5]]))
    assert arrays["faid_share"][5] == pytest.approx([0.05, 0.125])


def test_the_compatibility_of_a_step_is_the_mean_over_its_neighbours_in_the_last_blender() -> None:
    fit = views.step_arrays(faid_trace())["faid_fit"]
    assert fit[4] == pytest.approx(0.6)
    assert np.isnan(fit[[0, 1, 2, 3, 5]]).all()


def test_flips_of_blenders_compare_with_nothing_retrieved_and_shifts_with_no_blenders() -> None:
    arrays = views.step_arrays(faid_trace())
    assert arrays["code"][4] == arrays["pick"][4] == 1
    assert arrays["unmixed"][4] == 1  # the model with its blenders, as method faid takes it
    assert arrays["without"][4] == 3  # of 1/8, 1/8, 1/4, 1/2
    assert arrays["alone"][4] == 1  # of four quarters
    assert (arrays["without"] == arrays["pick"]).tolist() == [True, True, True, True, False, True]
    shown = arrays["top_code"][4].tolist()
    assert arrays["top_blank"][4][[shown.index(code) for code in range(4)]] == pytest.approx(
        [1 / 8, 1 / 8, 1 / 4, 1 / 2]
    )
    assert arrays["top_unblended"][4] == pytest.approx([0.25] * 4)
    assert arrays["top_blended"][4] == pytest.approx(arrays["top_model"][4])  # nothing is mixed
    assert arrays["kl"][4] == pytest.approx(7 / 8 * np.log(2))


def test_what_was_not_recorded_is_not_known() -> None:
    trace = faid_trace(recorded=False)
    arrays = views.step_arrays(trace)
    assert arrays["without"].tolist() == arrays["code"].tolist()
    assert np.isnan(arrays["kl"]).all()
    assert np.isnan(arrays["entropy"][:, 0]).all()
    assert not {"top_unblended", "top_blank"} & set(arrays)
    assert ("flips", "not recorded") in views.facts(trace, arrays, 1.0, ASKED)


def test_runs_without_blenders_pack_none() -> None:
    arrays = views.step_arrays(small_trace())
    assert not [name for name in arrays if name.startswith("faid") or "unblended" in name or "blank" in name]
    assert arrays["unmixed"].tolist() == arrays["without"].tolist()


@pytest.mark.parametrize(
    ("method", "said", "not_said"),
    [
        ("faid", {"method": "FAiD", "K": "3", "features": "3"}, {"λ", "τ"}),
        ("faid+daid", {"method": "FAiD + DAiD", "λ": "0.5", "τ": "1", "features": "3"}, set()),
        ("daid", {"method": "DAiD", "λ": "0.5", "flips": "1"}, {"features"}),
        ("model", {"method": "Model only"}, {"K", "flips", "features"}),
    ],
)
def test_facts_name_the_method_and_what_it_uses(method: str, said: dict[str, str], not_said: set[str]) -> None:
    blends = method.startswith("faid")
    trace = faid_trace(method) if blends else small_trace(replace(small_trace().settings, method=method))
    found = dict(views.facts(trace, views.step_arrays(trace), 1.0, ASKED))
    assert said.items() <= found.items()
    assert not not_said & set(found)


def sources_of(size: int) -> packing.Pictures:
    """Source pictures of that many bytes, and grey thumbnails."""
    grey = np.full((pictures.THUMBNAIL, pictures.THUMBNAIL, 3), 90, np.uint8)
    return packing.Pictures(b"drawn", lambda image: bytes([image]) * size, lambda image: grey)


def test_packed_trace_can_be_read_back() -> None:
    data = packing.pack_trace(small_trace(), "some-id", sources_of(100), 1.5, ASKED)
    header, arrays = unpack(data)
    assert header["id"] == "some-id"
    assert header["prompt"] == "a prompt"
    assert header["context"] == [[-1, -1], [-1, 0], [-1, 1], [0, -1]]
    assert header["sources"][2] == [2, "caption 2", "flat", 0]
    assert header["origins"] == ["somewhere"]
    assert ["flips", "1"] in header["facts"]
    assert header["tiles"] == []
    assert set(header["blobs"]) == {"picture", "0", "1", "2"}
    assert arrays["near_image"].reshape(6, -1)[4, :4].tolist() == [0, 2, 1, -1]
    assert header["rule"] == "gumbel"
    assert arrays["top_noise"].reshape(6, -1)[4] == pytest.approx([NOISE[code] for code in (2, 0, 1, 3)], abs=1e-5)


def test_the_header_says_what_the_run_had() -> None:
    header, arrays = unpack(packing.pack_trace(faid_trace("faid+daid"), "id", sources_of(10), 1.5, ASKED))
    assert (header["blenders"], header["hops"], header["shown"]["features"]) == ([0, 3], [1, 2], 3)
    assert (header["mixes"], header["retrieves"], header["flips_known"]) == (True, True, True)
    assert len(arrays["faid_compatibility"]) == 6 * 2 * 3
    header, _ = unpack(packing.pack_trace(faid_trace(recorded=False), "id", sources_of(10), 1.5, ASKED))
    assert (header["mixes"], header["flips_known"]) == (False, False)
    header, _ = unpack(packing.pack_trace(small_trace(), "id", sources_of(10), 1.5, ASKED))
    assert (header["blenders"], header["shown"]["features"], header["flips_known"]) == ([], 0, True)


def test_sources_that_do_not_fit_become_thumbnails() -> None:
    data = packing.pack_trace(small_trace(), "some-id", sources_of(400_000), 1.5, ASKED)
    header, _ = unpack(data)
    assert len(data) < packing.FILE_LIMIT
    assert header["tiles"] == [1]  # the neighbour of rank 2; ranks 0 and 1 are whole
    assert {"0", "2", "sheet"} <= set(header["blobs"])


def test_a_stopped_trace_of_one_step_can_be_packed() -> None:
    whole = small_trace()
    first = Trace(whole.prompt, whole.settings, whole.origin, whole.grid, whole.steps[:1], {})
    header, arrays = unpack(packing.pack_trace(first, "id", sources_of(10), 0.1, ASKED))
    assert header["steps"] == 1
    assert header["sources"] == []
    assert (arrays["near_image"] == -1).all()


def test_a_partial_grid_repeats_the_row_above() -> None:
    assert pictures.continued_grid([1, 2, 3, 4], Grid(3, 3)).tolist() == [[1, 2, 3], [4, 2, 3], [4, 2, 3]]
    assert pictures.continued_grid([7], Grid(2, 2)).tolist() == [[7, 7], [7, 7]]


def test_a_code_that_was_not_drawn_is_told_in_hindsight_and_by_what_the_run_itself_draws() -> None:
    plain = small_trace()
    chosen = replace(plain.steps[4], code=0)
    trace = replace(plain, steps=(*plain.steps[:4], chosen, plain.steps[5]), changes=(Change(4, code=0),), given=2)
    arrays = views.step_arrays(trace)
    assert arrays["drawn"].tolist() == [0, 0, 1, 1, 0, 1]
    assert (arrays["code"][4], arrays["own"][4], arrays["without"][4]) == (0, 2, 0)
    assert arrays["without"][:2].tolist() == [0, 0]
    found = dict(views.facts(trace, arrays, 1.0, ASKED))
    assert (found["given"], found["changed at"]) == ("2 codes", "4")
    assert found["flips"] == "0"
    assert found["in hindsight"] == str(int(arrays["pick"][4] != 0))


def test_steps_without_blenders_stand_among_those_with() -> None:
    plain, blends = small_trace(), faid_trace("faid")
    change = Change(4, settings=replace(blends.settings, record_unblended=True))
    start = replace(blends.settings, method="daid")
    trace = replace(plain, settings=start, steps=(*plain.steps[:4], *blends.steps[4:]), changes=(change,))
    arrays = views.step_arrays(trace)
    assert arrays["faid_on"].tolist() == [0, 0, 0, 0, 1, 1]
    assert arrays["faid_present"].tolist() == [0, 0, 0, 0, 2, 0]
    assert arrays["faid_share"].reshape(6, 2)[3:5].tolist() == [[0, 0], pytest.approx([0.05, 0.125])]
    assert np.isnan(arrays["faid_fit"][:4]).all()


def test_shares_with_weights_by_hand() -> None:
    weighed = replace(FOUND, weights=np.array([1, 0, 4], np.float32))
    assert neighbour_shares(weighed, 1.0, "sum") == pytest.approx([1 / 3, 0, 2 / 3])
    silent = replace(FOUND, weights=np.zeros(3, np.float32))
    assert neighbour_shares(silent, 1.0, "sum").tolist() == [0, 0, 0]

"""Which images shaped a picture: numbers computed by hand, and what holds for a real run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.analysis.copying import regions_of
from core.analysis.provenance import effective_number, neighbour_mass, provenance
from core.patches.database import PatchDatabase
from core.trace import Trace
from core.types import DecodeSettings, FaidStep
from tests.traces import PLAIN, near, trace_of


def one_lookup(settings: DecodeSettings = PLAIN) -> Trace:
    """Position 8 takes code 2; its neighbours at distances 0, 0, ln 2 have the shares 0.4, 0.4, 0.2."""
    found = near((5, 7, 2), (3, 20, 2), (5, 9, 1), distances=(0.0, 0.0, float(np.log(2))))
    return trace_of({8: found}, {8: 2}, settings)


def test_mass_is_the_weight_times_the_share_and_credit_that_of_the_taken_code() -> None:
    """Blended, code 2 has 0.5 * 0.125 + 0.5 * 0.8 = 0.4625, of which each of two images brought 0.2."""
    seen = provenance(one_lookup())
    assert seen.images.tolist() == [5, 3, 8]
    assert seen.mass[8] == pytest.approx([0.3, 0.2, 0])
    assert seen.credit[8] == pytest.approx([0.2 / 0.4625, 0.2 / 0.4625, 0])
    assert seen.cells[8].tolist() == [7, 20, -1]
    assert seen.mass[np.arange(24) != 8].sum() == 0
    assert seen.shares == pytest.approx([0.3 / 24, 0.2 / 24, 0])
    assert seen.credits == pytest.approx([0.2 / 0.4625 / 24] * 2 + [0])
    assert seen.owners.tolist() == [-1] * 8 + [0] + [-1] * 15  # the first one of equals
    assert seen.patches.tolist() == [1, 0, 0]


def test_the_gate_scales_mass() -> None:
    found = near((3, 8, 1), distances=(float(np.log(2)),))
    seen = provenance(trace_of({8: found}, {8: 1}, replace(PLAIN, gate=1.0)))
    assert seen.mass[8].max() == pytest.approx(0.25)
    assert seen.credit[8].max() == pytest.approx(0.25 / (0.75 * 0.25 + 0.25))


def test_a_neighbour_with_another_code_has_mass_and_no_credit() -> None:
    seen = provenance(trace_of({8: near((3, 8, 1))}, {8: 2}))
    assert (seen.mass[8].max(), seen.credit[8].max(), seen.cells[8].max()) == (0.5, 0, -1)
    assert seen.owners[8] == -1


def test_next_to_nothing_owns_no_patch() -> None:
    """With a weight of 0.001 the image has 0.001 / (0.999 * 0.5 + 0.001) = 0.2 % of code 0, and 1.6 % with 0.008."""
    for weight, owner in ((0.001, -1), (0.008, 0)):
        seen = provenance(trace_of({8: near((3, 8, 0))}, {}, replace(PLAIN, retrieval_weight=weight)))
        assert seen.credit[8].max() == pytest.approx(weight / ((1 - weight) * 0.5 + weight))
        assert seen.owners[8] == owner


def test_a_run_without_retrieval_owes_nothing_to_anybody() -> None:
    bare = replace(trace_of({}, {}, replace(PLAIN, method="model")), sources={})
    seen = provenance(bare)
    assert (len(seen.images), seen.owners.tolist(), seen.patches.tolist()) == (0, [-1] * 24, [])
    assert regions_of(bare) == []


def test_faid_alone_shares_by_the_compatibility_in_the_last_blender() -> None:
    """Two of three features are neighbours'; the blank one takes part, and owes nothing to anybody."""
    plain = one_lookup(replace(PLAIN, method="faid", faid_neighbours=3))
    scores = np.array([[0.9, 0.9, 0.9], [0.5, 0.3, 0.2]], np.float32)
    nothing = np.zeros((2, 3), np.float32)
    blended = FaidStep(np.array([0, 3]), np.array([1]), 2, scores, nothing, nothing[:, 0], nothing, nothing)
    steps = tuple(replace(step, faid=blended) if step.position == 8 else step for step in plain.steps)
    seen = provenance(replace(plain, steps=steps))
    assert seen.images.tolist() == [5, 3, 8]
    assert seen.mass[8] == pytest.approx([0.5, 0.3, 0])
    assert seen.credit[8] == pytest.approx([0.5, 0.3, 0])


def test_no_mass_is_lost(copied_trace: Trace) -> None:
    """Over all images it is the weight of the blend, and credit what the retrieval distribution gave the code."""
    seen = provenance(copied_trace)
    assert (np.diff(seen.shares) <= 1e-15).all()
    for step in copied_trace.steps:
        blend = copied_trace.blend(step.position)
        assert seen.mass[step.position].sum() == pytest.approx(blend.weight)
        part = 0.0 if blend.retrieval is None else blend.weight * blend.retrieval[step.code]
        assert seen.credit[step.position].sum() == pytest.approx(part / blend.blended[step.code])


def test_cells_are_where_the_database_has_the_code_that_was_taken(database: PatchDatabase, copied_trace: Trace) -> None:
    seen = provenance(copied_trace)
    positions, columns = np.nonzero(seen.cells >= 0)
    assert len(positions)
    there = database.grids.reshape(len(database.grids), -1)[seen.images[columns], seen.cells[positions, columns]]
    assert there.tolist() == copied_trace.codes[positions].tolist()


@pytest.mark.parametrize(
    ("shares", "expected"), [([], 0), ([0, 0], 0), ([1], 1), ([0.2, 0.2], 2), ([2, 1, 1], 2**1.5), ([5, 0, 5], 2)]
)
def test_effective_numbers_by_hand(shares: list[float], expected: float) -> None:
    assert effective_number(np.array(shares)) == pytest.approx(expected)


def test_neighbours_that_took_no_part_bring_nothing() -> None:
    found, mass = neighbour_mass(one_lookup(replace(PLAIN, method="model")).steps[8], replace(PLAIN, method="model"))
    assert (len(found), len(mass)) == (0, 0)

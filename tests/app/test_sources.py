"""What the page gets of the provenance of a run: hand-made traces, and the packed file read back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app import packing, sources
from app.views import Asked
from core.analysis.copying import regions_of
from core.analysis.provenance import provenance
from core.trace import Source, Trace
from core.types import Change, DecodeSettings
from tests.app.test_views import ASKED, small_trace, sources_of, unpack
from tests.traces import PLACES, PLAIN, near, trace_of


def copied_pair() -> Trace:
    """Image 3 explains the left half of the lookups a row lower, image 5 the right half at its place."""
    codes = {p: p % 4 for p in PLACES}
    left = {p: near((3, p + 6, codes[p]), (8, p, 0), distances=(0.0, 1.0)) for p in (7, 8, 13, 14)}
    right = {p: near((5, p, codes[p])) for p in (9, 10, 15, 16, 21, 22)}
    return trace_of(left | right, codes)


def test_the_largest_sources_are_listed_with_their_figures() -> None:
    shown = sources.shown_sources(copied_pair(), ASKED)
    assert shown.images == (5, 3, 8)
    first, second, third = shown.header["listed"]
    assert first == pytest.approx({"mass": 6 * 0.5 / 24, "credit": first["credit"], "patches": 6})
    assert second["patches"] == 4
    assert third == pytest.approx(
        {"mass": 4 * 0.5 * (1 - 0.7310586) / 24, "credit": third["credit"], "patches": 0}, abs=1e-6
    )
    assert shown.header["others"] == {"images": 0, "mass": 0, "credit": 0, "patches": 0, "owners": 0}
    assert shown.arrays["owner"][[0, 7, 9, 22]].tolist() == [-1, 1, 0, 0]
    assert shown.arrays["origin"][7].tolist() == [-1, 13, -1]
    assert shown.arrays["copied"][[0, 9, 7]].tolist() == [0, 1, 2]


def test_copied_regions_are_described() -> None:
    header = sources.shown_sources(copied_pair(), ASKED).header
    assert header["regions"] == [{"place": 0, "offset": (0, 0), "size": 6}, {"place": 1, "offset": (1, 0), "size": 4}]
    assert header["copying"] == {"largest": 6, "share": 1.0, "sources": 2}
    assert header["references"] == []  # nothing was measured with the database of the tests


def test_sources_beyond_the_list_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LISTED", 1)
    trace = copied_pair()
    shown, seen = sources.shown_sources(trace, ASKED), provenance(trace)
    assert shown.images == (5, 3)  # the second one has a copied region
    assert len(shown.header["listed"]) == 1
    assert shown.header["others"] == pytest.approx(
        {"images": 2, "mass": seen.shares[1:].sum(), "credit": seen.credits[1:].sum(), "patches": 4, "owners": 1},
        abs=1e-6,
    )
    assert shown.arrays["owner"][[9, 7]].tolist() == [0, 1]
    assert shown.arrays["credit"].shape == (24, 2)
    assert shown.arrays["credit"][7, 1] == round(10_000 * seen.credit[7, 1:].sum())


def test_a_run_without_retrieval_lists_nothing() -> None:
    trace = replace(trace_of({}, {}, replace(PLAIN, method="model")), sources={})
    shown = sources.shown_sources(trace, Asked("emoji", "emoji", trace.settings))
    assert (shown.images, shown.header["listed"], shown.header["references"]) == ((), [], [])
    assert shown.arrays["copied"].tolist() == [0] * 24


def test_runs_with_what_ships_come_with_references() -> None:
    trace = replace(copied_pair(), settings=replace(DecodeSettings(), retrieval_weight=0.9))
    real, model = sources.shown_sources(trace, Asked("novice", "unseen", trace.settings)).header["references"]
    assert (real["model"], model["model"], real["same"], real["database"]) == ("", "novice", True, "unseen")
    filtered = replace(trace, settings=replace(trace.settings, caption_filter=7))
    assert not sources.shown_sources(filtered, Asked("emoji", "emoji", trace.settings)).header["references"][0]["same"]


def test_the_packed_file_names_sources_by_their_place() -> None:
    header, arrays = unpack(packing.pack_trace(copied_pair(), "id", sources_of(50), 1.0, ASKED))
    places = header["provenance"]["places"]
    assert [header["sources"][place][0] for place in places] == [5, 3, 8]
    assert arrays["copied"].tolist().count(1) == 6
    assert len(arrays["origin"]) == 24 * 3
    assert len(arrays["credit"]) == 24 * 4


def test_a_source_that_is_no_near_neighbour_has_its_picture_too() -> None:
    """Twenty far neighbours share one source; those that are shown as cards come from another one."""
    near_ones = [(0, 4, 0)] * 16
    far = [(7, 4, 1)] * 20
    trace = small_trace()
    found = np.array(near_ones + far)
    step = trace.steps[4]
    neighbours = replace(
        step.retrieval.neighbours,  # type: ignore[union-attr]
        codes=found[:, 2], distances=np.linspace(0, 0.1, 36, dtype=np.float32), entries=found[:, 0],
    )  # fmt: skip
    steps = [*trace.steps]
    steps[4] = replace(step, retrieval=replace(step.retrieval, neighbours=neighbours))  # type: ignore[type-var, arg-type]
    images = {n: Source(n, f"caption {n}", "flat", "", "here", np.zeros((2, 3), np.uint16)) for n in (0, 7)}
    header, arrays = unpack(
        packing.pack_trace(replace(trace, steps=tuple(steps), sources=images), "id", sources_of(50), 1.0, ASKED)
    )
    assert [source[0] for source in header["sources"]] == [0, 7]
    assert header["provenance"]["places"] == [1, 0]
    assert {"0", "1"} <= set(header["blobs"])
    assert set(arrays["near_image"].tolist()) == {-1, 0}


def test_copied_regions_of_the_file_are_those_of_the_trace() -> None:
    trace = copied_pair()
    _, arrays = unpack(packing.pack_trace(trace, "id", sources_of(50), 1.0, ASKED))
    for number, region in enumerate(regions_of(trace), start=1):
        assert np.flatnonzero(arrays["copied"] == number).tolist() == list(region.positions)


def test_a_branch_that_turns_mixing_on_is_told_as_mixed() -> None:
    trace = copied_pair()
    plain = replace(trace.settings, method="model")
    branch = replace(trace, settings=plain, changes=(Change(1, settings=trace.settings),))
    shown = sources.shown_sources(branch, ASKED).header
    assert shown["mixes"]
    assert shown["references"] == sources.shown_sources(trace, ASKED).header["references"]
    alone = sources.shown_sources(replace(trace, settings=plain), ASKED).header
    assert (alone["mixes"], alone["references"]) == (False, [])

"""The views against numbers worked out by hand, and the packed file read back as the page reads it."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest

from app import views
from core.context import Context
from core.daid import Blend
from core.trace import Origin, Source, Trace
from core.types import DecodeSettings, Grid, Neighbours, Retrieval, Seconds, Skipped, StepRecord

LOGITS = np.log(np.array([0.5, 0.25, 0.125, 0.125], np.float32))
NO_TIME = Seconds(0.0, 0.0, 0.0)
FOUND = Neighbours(
    codes=np.array([2, 2, 1]),
    distances=np.array([0.0, 0.0, np.log(2)], np.float32),
    entries=np.array([0, 2, 1]),
)


def small_trace(settings: DecodeSettings | None = None) -> Trace:
    """Two rows of three codes; only position 4 retrieves, and u = 0.6 picks code 1 alone, code 2 with retrieval."""
    steps = [StepRecord(p, LOGITS, Skipped("first row"), 0.1, 0, NO_TIME) for p in range(4)]
    steps.append(StepRecord(4, LOGITS, Retrieval(np.zeros(4, np.int64), FOUND), 0.6, 2, NO_TIME))
    steps.append(StepRecord(5, LOGITS, Skipped("last column"), 0.9, 3, NO_TIME))
    codes = np.zeros((2, 3), np.uint16)
    sources = {i: Source(i, f"caption {i}", "flat", "", "somewhere", codes) for i in range(3)}
    plain = DecodeSettings(
        temperature=1.0, top_p=1.0, retrieval_weight=0.5, retrieval_temperature=1.0, gate=0.0, n_neighbours=3
    )
    origin = Origin("fake", "m", "c", 4, "d", Context())
    return Trace("a prompt", settings or plain, origin, Grid(2, 3), tuple(steps), sources)


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, views.Array]]:
    """Header and arrays of a packed trace."""
    assert data[:8] == views.MAGIC
    length = struct.unpack("<I", data[8:12])[0]
    header = json.loads(data[16 : 16 + length])
    base = 16 + -(-length // 8) * 8
    kinds = {"u8": "u1", "i8": "i1", "u16": "<u2", "i16": "<i2", "i32": "<i4", "f32": "<f4"}
    arrays = {
        name: np.frombuffer(data, kinds[at["kind"]], at["count"], base + at["offset"])
        for name, at in header["arrays"].items()
    }
    return header, arrays


def test_shares_under_sum_are_a_softmax_of_the_distances() -> None:
    assert views.neighbour_shares(FOUND, 1.0, "sum") == pytest.approx([0.4, 0.4, 0.2])


def test_shares_under_nearest_let_one_neighbour_speak_for_a_code() -> None:
    assert views.neighbour_shares(FOUND, 1.0, "nearest") == pytest.approx([2 / 3, 0, 1 / 3])


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


def test_top_codes_are_listed_by_blend_with_their_place_on_the_ruler() -> None:
    arrays = views.step_arrays(small_trace())
    assert arrays["top_code"][4].tolist() == [2, 0, 1, 3]
    assert arrays["top_blended"][4] == pytest.approx([0.4625, 0.25, 0.225, 0.0625])
    assert arrays["top_model"][4] == pytest.approx([0.125, 0.5, 0.25, 0.125])
    assert arrays["top_retrieval"][4] == pytest.approx([0.8, 0, 0.2, 0])
    assert arrays["top_blended_from"][4] == pytest.approx([0.475, 0, 0.25, 0.9375])


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


def pictures(size: int) -> views.Pictures:
    """Source pictures of that many bytes, and grey thumbnails."""
    grey = np.full((views.THUMBNAIL, views.THUMBNAIL, 3), 90, np.uint8)
    return views.Pictures(b"drawn", lambda image: bytes([image]) * size, lambda image: grey)


def test_packed_trace_can_be_read_back() -> None:
    data = views.pack_trace(small_trace(), "some-id", pictures(100), 1.5)
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
    assert arrays["u"].tolist() == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.6, 0.9])


def test_sources_that_do_not_fit_become_thumbnails() -> None:
    data = views.pack_trace(small_trace(), "some-id", pictures(400_000), 1.5)
    header, _ = unpack(data)
    assert len(data) < views.FILE_LIMIT
    assert header["tiles"] == [1]  # the neighbour of rank 2; ranks 0 and 1 are whole
    assert {"0", "2", "sheet"} <= set(header["blobs"])


def test_a_stopped_trace_of_one_step_can_be_packed() -> None:
    whole = small_trace()
    first = Trace(whole.prompt, whole.settings, whole.origin, whole.grid, whole.steps[:1], {})
    header, arrays = unpack(views.pack_trace(first, "id", pictures(10), 0.1))
    assert header["steps"] == 1
    assert header["sources"] == []
    assert (arrays["near_image"] == -1).all()


def test_a_partial_grid_repeats_the_row_above() -> None:
    assert views.continued_grid([1, 2, 3, 4], Grid(3, 3)).tolist() == [[1, 2, 3], [4, 2, 3], [4, 2, 3]]
    assert views.continued_grid([7], Grid(2, 2)).tolist() == [[7, 7], [7, 7]]


def test_the_atlas_shows_every_code_in_its_place() -> None:
    grid, size = Grid(16, 16), 40
    grids = views.atlas_grids(size, grid)
    assert grids.shape == (3, 16, 16)
    images = np.repeat(grids.repeat(2, axis=1).repeat(2, axis=2)[..., None], 3, axis=3).astype(np.uint8)
    atlas = views.atlas_picture(images, size, grid)
    assert atlas.shape == (4, 64, 3)
    assert atlas[0::2, 0::2, 0].ravel()[:size].tolist() == list(range(size))

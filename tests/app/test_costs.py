"""What a request costs is known before it is begun, and what is too much is refused with the largest that fits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pytest

from app import costs, links
from app.costs import check_cost
from app.plans import methods_plan, sweep_plan
from app.session import Session
from app.storage import Storage
from app.views import Asked
from core.engine import Request
from core.patches.database import PatchDatabase
from core.patches.protocol import ImageInfo
from core.types import Change, ConfigError, DecodeSettings
from tests.app.fake import FakeBackend, fake_database
from tests.app.stocked import stock

BACKEND = FakeBackend()
LOOKING_UP = 210
"""Positions of the fake model's 256 that look up."""


@pytest.fixture(scope="module")
def session() -> Session:
    """One whose pictures are as large as those that are counted."""
    return Session.over(stock(side=16))


@pytest.fixture(scope="module")
def large() -> PatchDatabase:
    """As many pictures as the embedded database has, in two styles: one of three is flat."""
    grids = np.random.default_rng(0).integers(0, 1024, (1906, 16, 16)).astype(np.uint16)
    metadata = [ImageInfo(f"thing {i}", "flat" if i % 3 == 0 else "3d") for i in range(len(grids))]
    captions = np.random.default_rng(0).normal(size=(len(grids), 16)).astype(np.float32)
    captions /= np.linalg.norm(captions, axis=1, keepdims=True)
    return PatchDatabase.build(BACKEND.codebook, grids, metadata, captions=captions, caption_encoder="fake-captions")


def request(database: PatchDatabase | None, prompt: str = "pizza", **settings: object) -> Request:
    return Request(BACKEND, database, prompt, replace(DecodeSettings(), **settings))  # type: ignore[arg-type]


# -- how much it is ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        DecodeSettings(n_neighbours=24),
        DecodeSettings(n_neighbours=0, caption_filter=4),
        DecodeSettings(n_neighbours=0, caption_filter=0, styles=("flat",)),
        DecodeSettings(method="model"),
        DecodeSettings(method="faid+daid", record_unblended=True, n_neighbours=40),
        DecodeSettings(method="faid", faid_neighbours=64, n_neighbours=100),
    ],
)
def test_the_cost_is_what_the_run_takes(session: Session, settings: DecodeSettings) -> None:
    asked = Asked("fake", "all", settings)
    *_, update = session.drawing.draw("ann", "a disc", lambda: asked)
    storage = Storage(bytes_in_memory=0)
    first, _ = (storage.put("ann", session.visits.find("ann", update.kept).whole) for _ in range(2))
    kept = storage.get(first)  # where no two positions share what they found
    database = session.library.databases["all"]
    cost = check_cost([Request(BACKEND, database, "a disc", settings)])
    found = sum(len(step.retrieval.neighbours) for step in kept.trace.steps if hasattr(step.retrieval, "neighbours"))
    assert cost.found == found
    assert cost.nbytes == pytest.approx(kept.nbytes, rel=0.2)


def test_passes_are_counted_by_rows(large: PatchDatabase) -> None:
    plain = request(large, cfg_scale=1.0)
    assert check_cost([plain]).passes == 256
    assert check_cost([plain] * 3, first=200).passes == 3 * 56
    assert check_cost([request(large, negative_share=0.0)]).passes == 2 * 256
    assert check_cost([request(large)]).passes == 3 * 256
    both = request(large, method="faid", record_unblended=True, cfg_scale=1.0)
    assert check_cost([both]).passes == 3 * 256


def test_a_change_counts_from_its_position_on(large: PatchDatabase) -> None:
    before = request(large, n_neighbours=10)
    many = replace(before, changes=(Change(128, settings=replace(before.settings, n_neighbours=1000)),))
    assert check_cost([before]).found == 10 * LOOKING_UP
    assert check_cost([many]).found == 10 * 98 + 1000 * 112
    everything = Change(128, settings=replace(before.settings, n_neighbours=0, caption_filter=0))
    with pytest.raises(ConfigError, match="all entries"):
        check_cost([replace(before, changes=(everything,))])


# -- whether that is too much -----------------------------------------------------------------------------------------


def test_the_link_that_asks_for_everything_is_refused_with_what_fits(large: PatchDatabase) -> None:
    query = {"prompt": "pizza", "n_neighbours": "0", "caption_filter": "0"}
    link = links.parse_query(query, Asked("fake", "all", DecodeSettings()))
    assert link is not None
    with pytest.raises(ConfigError) as refused:
        check_cost([Request(BACKEND, large, link.prompt, link.asked.settings)])
    assert str(refused.value) == (
        "neighbours: got all entries at every position of a picture, 1.7 GB to keep, expected at most 40 MB; K up to "
        "9,500 fits here, or all with a caption filter of 1 to 45"
    )


@pytest.mark.parametrize(
    "fitting",
    [
        {"n_neighbours": 9500, "caption_filter": 0},
        {"n_neighbours": 0, "caption_filter": 45},
        {"n_neighbours": 0, "caption_filter": 1},
        {"n_neighbours": 100_000, "caption_filter": 8},
        {"n_neighbours": 0, "caption_filter": 0, "method": "model"},
        {"n_neighbours": 0, "caption_filter": 0, "retrieval_weight": 0.0},
    ],
)
def test_what_the_refusal_offers_is_taken(large: PatchDatabase, fitting: dict[str, object]) -> None:
    assert check_cost([request(large, **fitting)]).found <= costs.MOST_FOUND


@pytest.mark.parametrize("unfitting", [{"n_neighbours": 9600}, {"n_neighbours": 0, "caption_filter": 46}])
def test_a_little_more_than_that_is_not(large: PatchDatabase, unfitting: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="neighbours: got"):
        check_cost([request(large, **{"caption_filter": 0, **unfitting})])


def test_a_caption_filter_that_does_nothing_counts_for_nothing(large: PatchDatabase) -> None:
    with pytest.raises(ConfigError, match=r"K up to 9,500 fits here$"):
        check_cost([request(large, "猫", n_neighbours=0, caption_filter=8)])


def test_styles_leave_fewer_entries(large: PatchDatabase) -> None:
    few = large.subset(np.arange(120))
    assert check_cost([request(few, n_neighbours=0, caption_filter=0, styles=("flat",))]).found == 40 * 210 * 210
    with pytest.raises(ConfigError, match="all entries"):
        check_cost([request(few, n_neighbours=0, caption_filter=0)])


def test_a_sweep_counts_all_of_its_pictures(large: PatchDatabase) -> None:
    start = Asked("fake", "all", DecodeSettings(caption_filter=0))

    def requests(neighbours: str) -> list[Request]:
        batch = sweep_plan(start, "retrieval_weight", "0.1,0.2,0.3,0.4,0.5,0.6", "n_neighbours", neighbours)
        return [Request(BACKEND, large, plan.prompt, plan.asked.settings) for plan in batch.plans("pizza")]

    with pytest.raises(ConfigError, match=r"got 100,000 entries at every position of 12 pictures, .* GB to keep"):
        check_cost(requests("1, 100000"))
    every = requests("2000,2001,2002,2003,2004,2005")
    with pytest.raises(ConfigError, match="36 pictures, 341 MB to keep, expected at most 134 MB; K up to ") as refused:
        check_cost(every)
    most = int(str(refused.value).split("K up to ")[1].split(" ")[0].replace(",", ""))
    assert check_cost([replace(one, settings=replace(one.settings, n_neighbours=most)) for one in every])
    more = round(most * 1.1)
    with pytest.raises(ConfigError):
        check_cost([replace(one, settings=replace(one.settings, n_neighbours=more)) for one in every])


@dataclass(frozen=True)
class Wide(FakeBackend):
    """A model with a codebook as large as that of Janus."""

    name: str = "wide"

    @cached_property
    def codebook(self):  # type: ignore[no-untyped-def]
        @dataclass(frozen=True)
        class Codebook:
            size: int = 16384 * 576 // 256
            fingerprint: str = "wide"

        return Codebook()


def test_a_large_model_may_compare_its_methods_and_sweeps_less() -> None:
    settings = DecodeSettings(method="faid+daid", record_unblended=True)
    batch = methods_plan(Asked("wide", "all", settings), ("model", "daid", "faid", "faid+daid"))
    small = fake_database(BACKEND, 4)
    compared = [Request(Wide(), small, "pizza", asked.settings) for asked in batch.asked]
    assert check_cost(compared).nbytes > costs.MOST_BYTES
    plain = Request(Wide(), small, "pizza", DecodeSettings())
    assert check_cost([plain] * 11)
    with pytest.raises(ConfigError, match=r"pictures: got 36 pictures would keep 1\.4 GB.*draw up to 11 at once"):
        check_cost([plain] * 36)


def test_too_many_features_are_refused(large: PatchDatabase) -> None:
    assert check_cost([request(large, method="faid", faid_neighbours=128)])
    assert check_cost([request(large, faid_neighbours=1000)])  # which this method does not look at
    with pytest.raises(ConfigError, match="faid_neighbours: got 1000 features, expected 1 to 128"):
        check_cost([request(large, method="faid", faid_neighbours=1000)])


def test_without_a_database_there_is_nothing_to_find() -> None:
    assert check_cost([request(None, n_neighbours=0)]).found == 0

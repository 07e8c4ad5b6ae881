"""The suite copying: what is measured of drawn and of real pictures, and of likelihoods."""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.backends.emoji.backend import EmojiBackend
from core.daid import blend_step
from core.evaluation.copied import Sources
from core.evaluation.copying_findings import found
from core.evaluation.findings import Plot, Sheet, Table
from core.evaluation.likelihood import grid_logits, retrieve
from core.evaluation.membership import blended
from core.evaluation.suite import Measured, Subject
from core.evaluation.suites import copying
from core.evaluation.suites.copying import SUITE
from core.patches.database import PatchDatabase
from core.types import ConfigError, DecodeSettings
from tests.closeness import assert_close
from tests.rows import MemoryRow, row_of, rows_of

SETTINGS = DecodeSettings(n_neighbours=8, caption_filter=0, gate=0.0, top_p=1.0)


@pytest.fixture(scope="module")
def held(database: PatchDatabase, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database of four images that the other one does not hold."""
    folder = tmp_path_factory.mktemp("held")
    database.subset([8, 9, 10, 11]).save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def subject(backend: EmojiBackend, database: PatchDatabase) -> Subject:
    return Subject("tiny", backend, "tiny", database.subset(range(8)), SETTINGS)


def options(**changes: Any) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    SUITE.add_arguments(parser)
    return vars(parser.parse_args([])) | changes


@pytest.fixture(scope="module")
def rows(subject: Subject, held: str) -> list[MemoryRow]:
    given = options(count=2, methods="model,daid", weights="0.5", held_out=held, real=2, members=3)
    return rows_of(SUITE.open(subject, given))


def test_a_picture_of_the_database_is_a_copy_of_itself(backend: EmojiBackend, database: PatchDatabase) -> None:
    sources = Sources.of(backend, database, SETTINGS, None)
    grid = database.image_codes(3)
    said = sources.copied(grid, "dog 3, 3d style")
    assert said["nearest"] == 1
    assert sources.nearest(grid) == 3
    assert said["share"] > 0.9
    other = grid.copy()
    other[:4] = (other[:4] + 1) % 48
    assert_close(sources.copied(other, "dog")["nearest"], 0.5)


def test_arms_are_items_of_the_same_prompts(rows: list[MemoryRow]) -> None:
    drawn = {row.about["arm"]: row for row in rows if row.about["kind"] == "drawn"}
    assert list(drawn) == ["daid-0.5", "model"]
    assert drawn["model"].about["wanted"] == drawn["daid-0.5"].about["wanted"]
    assert drawn["daid-0.5"].key == "drawn-daid-0p5-00000"
    seeds = [one.settings.seed for one in drawn["model"].measured.pictures["model"]]
    assert seeds == [0, 1]
    assert not any(one.linkable for one in drawn["model"].measured.pictures["model-source"])
    assert drawn["model"].unavailable.keys() == {"SSCD"}


def test_likelihoods_are_those_of_the_blend(subject: Subject, database: PatchDatabase, rows: list[MemoryRow]) -> None:
    """Under DAiD with a weight, and of the model alone; code by code as `blend_step` has it."""
    row = next(row for row in rows if row.about.get("side") == "member")
    grid, info = database.image_codes(0), database.image_info(0)
    prompt = f"{info.caption}, {info.style} style"
    assert row.about["numbers"][0] == 0
    logits = grid_logits(subject.backend, [prompt], grid[None])[0]
    assert isinstance(subject.database, PatchDatabase)
    near = retrieve(grid, subject.database, SETTINGS)
    settings = replace(SETTINGS, temperature=1.0, retrieval_weight=0.4)
    expected = [
        np.log(blend_step(here, one, settings).blended[code])
        for here, one, code in zip(logits, near, grid.ravel().tolist(), strict=True)
    ]
    model, retrieved, shares = (row.array(name)[:1].astype(np.float64) for name in ("model", "retrieved", "shares"))
    assert_close(blended(model, retrieved, shares, 0.4)[0], expected, 1e-3)
    assert row.array("faid").shape == (3, 64)


def test_a_run_says_what_is_copied_and_what_likelihoods_give_away(rows: list[MemoryRow]) -> None:
    copied, given_away = found(rows)
    values, pairs, *rest = copied.blocks
    assert isinstance(values, Table)
    assert isinstance(pairs, Table)
    assert [row[0] for row in values.rows] == ["model", "daid-0.5", "real"]
    assert [row[0] for row in pairs.rows] == ["daid-0.5"]
    assert values.head == (
        "pictures",
        "largest copied region",
        "copied share",
        "sources",
        "codes of the nearest picture",
    )
    share = rest[0]
    assert isinstance(share, Plot)
    assert [(line.name, line.x) for line in share.lines] == [
        ("daid", (0.0, 0.5)),
        ("held-out real pictures", (0.0, 0.5)),
    ]
    assert isinstance(rest[2], Sheet)
    assert [one.arm for one in rest[2].shown[:2]] == ["model", "model-source"]
    table = given_away.blocks[0]
    assert isinstance(table, Table)
    assert "3 members, 3 others" in table.note
    assert {"model", "daid-0.4", "faid"} <= {row[0] for row in table.rows}
    assert "AUC, less log p(x)" in table.head


def test_figures_of_rows_by_hand() -> None:
    """Two pictures an arm; SSCD above 0.75 counts as a copy."""
    said = {"model": ([1, 3], [0.5, 0.75]), "daid-0.2": ([5, 5], [0.76, 0.9])}
    rows = [_by_hand(arm, *values) for arm, values in said.items()]
    values, pairs = found(rows)[0].blocks[:2]
    assert isinstance(values, Table)
    assert isinstance(pairs, Table)
    by_name = {row[0]: dict(zip(values.head, row, strict=True)) for row in values.rows}
    assert_close([getattr(by_name[arm]["largest copied region"], "value", None) for arm in said], [2, 5])
    assert_close([getattr(by_name[arm]["SSCD above 0.75"], "value", None) for arm in said], [0, 1])
    less = dict(zip(pairs.head, pairs.rows[0], strict=True))["largest copied region"]
    assert_close([getattr(less, name) for name in ("value", "low", "high")], [3, 2, 4])


def _by_hand(arm: str, largest: list[int], sscd: list[float], first: int = 0) -> MemoryRow:
    two = {"share": [0.5, 0.5], "sources": [1, 1], "nearest": [0.1, 0.2]}
    about = {"kind": "drawn", "arm": arm, "first": first, "wanted": [{"prompt": "a"}, {"prompt": "b"}]}
    return MemoryRow(
        f"drawn-{arm}-{first}", about, Measured(details={"copied": {"largest": largest, "sscd": sscd} | two})
    )


def test_an_arm_of_ones_own_is_compared_with_its_method_as_set() -> None:
    own = _by_hand("wide", [4, 6], [0, 0])
    own = replace(own, about={**own.about, "compared": {"as_set": "daid-0.2", "changes": "gate 0.0"}})
    section = found([_by_hand("model", [1, 3], [0, 0]), _by_hand("daid-0.2", [5, 5], [0, 0]), own])[0]
    pairs, share = section.blocks[1:3]
    assert isinstance(pairs, Table)
    assert isinstance(share, Plot)
    assert [(row[0], getattr(row[1], "value", None)) for row in pairs.rows] == [
        ("daid-0.2", 3), ("wide", 3), ("wide - daid-0.2", 0),
    ]  # fmt: skip
    assert [line.x for line in share.lines] == [(0.0, 0.2)]  # it has no place on the axis of weights
    assert "wide: gate 0.0." in section.text


def test_only_batches_that_both_arms_have_are_paired() -> None:
    """Of a run that is not finished."""
    rows = [_by_hand("model", [1, 3], [0, 0]), _by_hand("daid-0.2", [9, 9], [0, 0], 16)]
    assert isinstance(found(rows)[0].blocks[1], Plot)
    pairs = found([*rows, _by_hand("daid-0.2", [2, 2], [0, 0])])[0].blocks[1]
    assert isinstance(pairs, Table)
    assert getattr(pairs.rows[0][1], "value", None) == 0
    assert getattr(pairs.rows[0][1], "n", None) == 2


def test_sscd_finds_the_picture_itself(backend: EmojiBackend, database: PatchDatabase, tmp_path: Path) -> None:
    path = tmp_path / "sscd.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would have it exported
        flat = torch.nn.Sequential(torch.nn.AvgPool2d(36), torch.nn.Flatten())
        torch.jit.trace(flat, torch.rand(1, 3, 288, 288)).save(str(path))  # type: ignore[no-untyped-call]
    subject = Subject("tiny", backend, "tiny", database, SETTINGS)
    given = options(count=1, methods="model", members=0, real=1, sscd=str(path))
    work = SUITE.open(subject, given)
    row = row_of(work, work.items()[0])
    assert 0 < row.details["copied"]["sscd"][0] < 1
    own = backend.decode_codes(database.image_codes(2)[None])
    sources = work._sources
    assert_close(sources.similar(own), [1.0])


def test_a_database_is_needed(backend: EmojiBackend) -> None:
    with pytest.raises(ConfigError, match="give --database"):
        SUITE.open(Subject("tiny", backend, "none", None, SETTINGS), options())


def test_logits_are_taken_as_log_probabilities() -> None:
    logits = np.log(np.array([[[0.5, 0.25, 0.25], [1, 1, 2]]], np.float32)) + 7
    assert_close(copying._taken(logits, np.array([[1, 2]])), np.log([[0.25, 0.5]]))

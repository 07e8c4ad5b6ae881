"""Judges of transformers behind the suites, tiny and with random weights: that they load, run and refuse."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from core.backends import ModelSource, load_backend
from core.backends.emoji.backend import EmojiBackend
from core.evaluation.dpg.asking import Asking
from core.evaluation.geneval.clip import Clip, cut_out
from core.evaluation.geneval.segmenter import Segmenter
from core.evaluation.suite import Subject
from core.evaluation.suites.dpg import SUITE as DPG
from core.evaluation.suites.geneval import SUITE as GENEVAL
from core.evaluation.weights import kind_of
from core.patches.database import PatchDatabase
from core.patches.protocol import ImageInfo
from core.types import CheckpointError, ConfigError, DecodeSettings
from tests import tiny_janus
from tests.judges import at
from tests.rows import rows_of
from tests.tiny_judges import save_blip, save_clip, save_mask2former, save_vilt
from tests.traces import SETTINGS
from tests.unit.test_dpg import table
from tests.unit.test_geneval import APPLE, BESIDE, metadata, options


@pytest.fixture
def subject(backend: EmojiBackend, database: PatchDatabase) -> Subject:
    return Subject("tiny", backend, "tiny", database, SETTINGS)


def test_a_package_that_a_model_needs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scipy")
    folder = save_mask2former(tmp_path / "detector")
    backends = import_module("transformers.utils.import_utils").BACKENDS_MAPPING
    monkeypatch.setitem(backends, "scipy", (lambda: False, backends["scipy"][1]))
    with pytest.raises(ConfigError, match=r"no Python package scipy, which .* needs, .* run pip install scipy"):
        Segmenter.load(str(folder))


def test_mask2former_and_clip_judge_from_their_folders(tmp_path: Path, subject: Subject) -> None:
    pytest.importorskip("scipy")
    detector, clip = save_mask2former(tmp_path / "detector"), save_clip(tmp_path / "clip")
    green = {"tag": "colors", "include": [{"class": "apple", "count": 1, "color": "green"}], "prompt": "a green apple"}
    file = metadata(tmp_path / "m.jsonl", APPLE, green)
    work = GENEVAL.open(
        subject, options(metadata=file, methods="model", samples=1, detector=str(detector), clip=str(clip))
    )
    assert work._detector is not None
    assert set(work._detector.classes) == {"apple", "computer mouse"}
    found = work._detector.detect(np.full((40, 60, 3), 200, np.uint8))
    assert found
    for one in found:
        assert one.mask is not None
        assert one.mask.shape == (40, 60)
        left, top, right, bottom = map(int, one.box)
        assert one.mask[top:bottom, left:right].sum() == one.mask.sum()
    first, second = rows_of(work)
    assert first.figures == {"model": {"correct": 1.0, "judged": 1.0}}
    assert set(first.details["arms"]["model"][0]["objects"]) == {"apple"}
    assert not second.unavailable
    assert "mask2former in detector, CLIP in clip" in GENEVAL.findings([first, second], {})[0].text
    with pytest.raises(ConfigError, match="class 'dog'"):
        GENEVAL.open(subject, options(metadata=metadata(tmp_path / "n.jsonl", BESIDE), detector=str(detector)))
    with pytest.raises(CheckpointError, match="expected clip"):
        GENEVAL.open(subject, options(metadata=file, clip=str(detector)))
    (detector / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="cannot be read"):
        GENEVAL.open(subject, options(metadata=file, detector=str(detector)))


def test_janus_draws_what_all_three_judge(tmp_path: Path) -> None:
    """GenEval with Mask2Former and CLIP, DPG-Bench with ViLT, from prompts to tables, with and without DAiD."""
    pytest.importorskip("scipy")
    base = tiny_janus.save_model(tmp_path / "janus", tiny_janus.tiny_janus())
    janus = load_backend("janus", ModelSource(str(base), device="cpu"))
    infos = [ImageInfo(f"dog {n}") for n in range(6)]
    database = PatchDatabase.build(janus.codebook, tiny_janus.random_grids(6), infos)
    settings = DecodeSettings(caption_filter=0, n_neighbours=4, cfg_scale=3.0)
    subject = Subject("janus", janus, "dogs", database, settings)
    red = {"tag": "colors", "include": [{"class": "apple", "count": 1, "color": "red"}], "prompt": "a red heart"}
    file = metadata(tmp_path / "m.jsonl", red)
    judges = {"detector": str(save_mask2former(tmp_path / "m2f")), "clip": str(save_clip(tmp_path / "clip"))}
    (row,) = rows_of(GENEVAL.open(subject, options(metadata=file, **judges)))
    assert set(row.figures) == {"model", "daid"}
    for arm in ("model", "daid"):
        assert len(row.details["arms"][arm]) == 2
        assert all(verdict["objects"]["apple"] for verdict in row.details["arms"][arm])
    assert len(GENEVAL.findings([row], {})[0].blocks) == 2
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "dogs.txt").write_text("two dog", encoding="utf-8")
    given = {
        "prompts": str(tmp_path / "prompts"), "questions": table(tmp_path / "q.csv"), "count": 0, "methods": "",
        "pictures": [], "answerer": str(save_vilt(tmp_path / "vilt")), "export": str(tmp_path / "out"),
    }  # fmt: skip
    (row,) = rows_of(DPG.open(subject, given))
    assert row.figures["daid"] == {"dpg": 100.0}
    assert (tmp_path / "out" / "daid" / "dogs.png").exists()
    assert "vilt in vilt" in DPG.findings([row], given)[0].text


def test_objects_are_cut_out_on_grey() -> None:
    pixels = np.zeros((20, 30, 3), np.uint8)
    mask = np.zeros((20, 30), np.bool_)
    mask[5:10, 10:14] = True
    cut = np.asarray(cut_out(pixels, at("dog", 0.9, (9.6, 4.6, 16.4, 10.4), mask)))
    assert cut.shape == (5, 6, 3)  # 10..16 by 5..10
    assert (cut[:, :4] == 0).all()
    assert (cut[:, 4:] == 0x99).all()
    assert np.asarray(cut_out(pixels, at("dog", 0.9, (9.6, 4.6, 16.4, 10.4)))).max() == 0  # without a mask: all of it


def test_directions_of_colours_are_means_of_templates(tmp_path: Path) -> None:
    clip = Clip.load(str(save_clip(tmp_path)))
    assert not clip.published
    assert clip.colours(np.zeros((8, 8, 3), np.uint8), "apple", []) == []
    seen = clip.colours(np.zeros((8, 8, 3), np.uint8), "apple", [at("apple", 0.9, (0, 0, 0, 0)), at("apple", 0.9)])
    assert len(seen) == 2
    assert clip.directions["apple"].shape == (10, 8)
    assert clip.directions["apple"].norm(dim=1).tolist() == pytest.approx([1.0] * 10)


def test_vilt_and_blip_answer(tmp_path: Path) -> None:
    picture = np.full((40, 30, 3), 90, np.uint8)
    vilt = Asking.load(str(save_vilt(tmp_path / "vilt", "no")))
    assert vilt.answers(picture, ["is there a dog?"] * 17) == ["no"] * 17
    assert not vilt.published
    blip = Asking.load(str(save_blip(tmp_path / "blip")))
    said = blip.answers(picture, ["is there a dog?", "a dog"])
    assert len(said) == 2
    assert said == list(blip.answers(picture, ["is there a dog?", "a dog"]))


def test_folders_that_are_no_models_are_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json"):
        kind_of(str(tmp_path), "detector")
    (tmp_path / "config.json").write_text('{"model_type": "vilt"}', encoding="utf-8")
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(CheckpointError, match="without safetensors"):
        Asking.load(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="cannot be read"):
        Asking.load(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(CheckpointError, match="expected one of blip, vilt"):
        Asking.load(str(tmp_path))

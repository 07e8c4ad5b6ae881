"""The golden check itself, on vectors computed by hand; and all of the released implementation's, where they are."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import save_file

from tests.golden import main

GOLDEN = Path(os.environ.get("ARRAG_GOLDEN", Path(__file__).parents[3] / "shared" / "golden"))


@pytest.mark.processor
@pytest.mark.skipif(not GOLDEN.is_dir(), reason="no golden vectors: set ARRAG_GOLDEN to their directory")
def test_golden_vectors_are_reproduced(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(GOLDEN)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert all(" ok " in line for line in lines)


def by_hand() -> dict[str, npt.NDArray[np.generic]]:
    """Four codes at right angles (squared distances 0, 2, 4) and two 3 x 3 images, hence four entries.

    Entries: 0123 -> 0, 3012 -> 1, 0123 -> 1, 3111 -> 2. The query 0123 is at 0, 2+2+2+2, 0 and 2+0+2+4 from them.
    With exp(-8 / temperature) = 1/2 the codes 0, 1, 2 weigh 1, 1, 1/2.
    """
    directions = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)
    return {
        "db.codebook": directions,
        "db.grid": np.array([[[0, 1, 2], [3, 0, 1], [2, 1, 0]], [[0, 1, 2], [3, 1, 1], [1, 2, 0]]], np.int32),
        "db.next": np.array([0, 1, 1, 2], np.int32),
        "db.keys_first_image": np.array([[1, 0, 0, 1, -1, 0, 0, -1], [0, -1, 1, 0, 0, 1, -1, 0]], np.float32),
        "meta.temperatures": np.array([8 / np.log(2)], np.float32),
        "meta.lambda": np.array(0.25, np.float32),
        "meta.cases": np.array(1),
        "case0.query_codes": np.array([0, 1, 2, 3], np.int32),
        "case0.K": np.array(4),
        "case0.distances": np.array([0, 0, 8, 8], np.float32),
        "case0.codes": np.array([1, 0, 2, 1], np.int32),  # the order among ties is free
        "case0.unique_distances": np.array([0, 0, 8], np.float32),
        "case0.unique_codes": np.array([0, 1, 2], np.int32),
        "case0.model_probs": np.full((1, 4), 0.25, np.float32),
        "case0.retrieval_dist": np.array([[0.4, 0.4, 0.2, 0]], np.float32),
        "case0.merged": np.array([[0.2875, 0.2875, 0.2375, 0.1875]], np.float32),
    }


def test_hand_computed_vectors_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file(by_hand(), tmp_path / "hand_daid.safetensors")
    assert main([str(tmp_path)]) == 0
    assert "ok" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name",
    [name for name, values in by_hand().items() if values.dtype == np.float32 and "codebook" not in name]
    + ["case0.codes", "case0.unique_codes", "db.next"],
)
def test_a_wrong_number_fails(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = by_hand()
    wrong = tensors[name].astype(np.float64)
    wrong.flat[-1] += 1e-3 if tensors[name].dtype == np.float32 else 1
    if name in ("meta.temperatures", "meta.lambda"):
        wrong *= 1.1
    tensors[name] = wrong.astype(tensors[name].dtype)
    save_file(tensors, tmp_path / "hand_daid.safetensors")
    assert main([str(tmp_path)]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_damaged_files_are_one_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a_daid.safetensors").write_bytes(b"nothing of the sort")
    save_file({name: value for name, value in by_hand().items() if name != "db.next"}, tmp_path / "b_daid.safetensors")
    save_file(by_hand() | {"db.grid": np.zeros((2, 3), np.int32)}, tmp_path / "c_daid.safetensors")
    assert main([str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all("DAMAGED" in line for line in lines)
    assert "db.next" in lines[1]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["a", "b"], ["no/such/directory"]])
def test_unusable_arguments_exit_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_kind_without_a_check_is_said_to_be_unchecked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"x": np.zeros(1, np.float32)}, tmp_path / "hand_something.safetensors")
    assert main([str(tmp_path)]) == 0
    assert "not yet" in capsys.readouterr().out


def blender_by_hand() -> dict[str, npt.NDArray[np.generic]]:
    """Width 1, hop 1, kernels of ones and then 1 2 / 3 4 on the image 1 2 / 3 (4), one neighbour.

    Together 1 3 2 / 4 10 6 / 3 7 4, bias 10 * 0.5 - 1. Cells add 0, 4, 7 and 19; the score is the sigmoid of the
    feature. No position of so small a grid retrieves, so the all-positions form has no centre.
    """
    smoothed = np.array([4, 8, 11, 23], np.float32)
    score = 1 / (1 + np.exp(-smoothed))
    kernel = np.array([[1, 2], [3, 4]], np.float32)
    return {
        "w.conv1.weight": np.ones((1, 1, 2, 2), np.float32),
        "w.conv1.bias": np.array([0.5], np.float32),
        "w.conv12.weight": kernel.reshape(1, 1, 2, 2),
        "w.conv12.bias": np.array([-1], np.float32),
        "w.mlp.0.weight": np.ones((1, 1), np.float32),
        "w.mlp.0.bias": np.zeros(1, np.float32),
        "w.mlp.2.weight": np.ones((1, 1), np.float32),
        "w.mlp.2.bias": np.zeros(1, np.float32),
        "meta.S_img": np.array(4),
        "meta.T_text": np.array(1),
        "meta.hops": np.array([1]),
        "infer.pos": np.array([3, 0]),
        "infer.hidden": np.array([-9, 1, 2, 3], np.float32).reshape(1, 4, 1).repeat(2, axis=0),
        "infer.retrieved": np.full((2, 1, 1, 1), 5, np.float32),
        "infer.out": np.array([73, 54], np.float32).reshape(2, 1, 1, 1, 1).repeat(2, axis=1),
        "infer.score": np.ones((2, 2, 1, 1), np.float32),
        "train.hidden": np.array([-9, 1, 2, 3, 4], np.float32).reshape(1, 5, 1),
        "train.retrieved": np.full((1, 4, 1, 1), 5, np.float32),
        "train.out": (smoothed * score).reshape(1, 4, 1, 1),
        "train.score": score.reshape(1, 4, 1),
    }


def test_a_blender_computed_by_hand_agrees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file(blender_by_hand(), tmp_path / "hand_blender_single.safetensors")
    assert main([str(tmp_path)]) == 0
    assert "ok" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["infer.out", "infer.score", "train.out", "train.score", "w.conv12.bias", "meta.hops"])
def test_a_wrong_number_of_a_blender_fails(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = blender_by_hand()
    tensors[name] = (tensors[name].astype(np.float64) * 1.01 + 1).astype(tensors[name].dtype)
    save_file(tensors, tmp_path / "hand_blender_single.safetensors")
    assert main([str(tmp_path)]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_a_blender_without_a_weight_is_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = {name: value for name, value in blender_by_hand().items() if name != "w.conv12.bias"}
    save_file(tensors, tmp_path / "hand_blender_single.safetensors")
    assert main([str(tmp_path)]) == 1
    assert "DAMAGED  FAiD: conv12.bias: got nothing" in capsys.readouterr().out

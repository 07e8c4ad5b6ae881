"""Networks that see pictures: at tiny sizes with random weights, and files that are not theirs."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from core.evaluation import extractors
from core.evaluation.distances import clip_scores
from core.evaluation.extractors.inception import Block, Branch, Layer, _pooled, enlarged, structure
from core.evaluation.extractors.preparing import IMAGENET, resized
from core.evaluation.extractors.sscd import Sscd
from core.types import CheckpointError
from tests.closeness import assert_close

NAMES = (566, "760681d791cb624e")
PICTURES = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 3)).astype(np.uint8)


def test_inception_has_the_parameters_of_the_published_file() -> None:
    """The digest is of names and shapes in torch-fidelity 0.4.0's network, which reads the published weights.

    With the same random weights in both, features agreed to 1e-6 of their size.
    """
    lines = [f"{name} {tuple(value.shape)}" for name, value in sorted(structure().state_dict().items())]
    assert len(lines) == NAMES[0]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == NAMES[1]


def test_pictures_are_enlarged_as_tensorflow_1_did() -> None:
    """From 2 pixels to 4: read at 0, 1/2, 1 and 3/2, of which the last is beyond the border."""
    picture = np.zeros((1, 2, 2, 3), np.uint8)
    picture[0, :, 1] = 100
    assert enlarged(picture, 4)[0, 0].tolist() == [[0, 50, 100, 100]] * 4
    assert enlarged(picture, 4).transpose(2, 3)[0, 0, :, 0].tolist() == [0, 50, 100, 100]


def test_the_mean_pool_leaves_the_border_out_and_others_do_as_they_say() -> None:
    x = torch.arange(9.0).reshape(1, 1, 3, 3)
    assert _pooled(x, "mean")[0, 0, 0].tolist() == [
        (0 + 1 + 3 + 4) / 4,
        (0 + 1 + 2 + 3 + 4 + 5) / 6,
        (1 + 2 + 4 + 5) / 4,
    ]
    assert _pooled(x, "max")[0, 0, 0].tolist() == [4, 5, 5]
    assert _pooled(x, "halve").tolist() == [[[[8]]]]
    assert _pooled(x, "") is x


def test_a_block_runs_branches_side_by_side_and_splits_their_ends() -> None:
    fork = Branch(layers=(Layer("a", 2, 3),), ends=(Layer("b", 3, 4), Layer("c", 3, 5, (1, 3))))
    block = Block([fork, Branch("max"), Branch("mean", (Layer("d", 2, 6),))]).eval()
    x = torch.rand(1, 2, 5, 5)
    with torch.inference_mode():
        found, first = block(x), block.get_submodule("a")(x)
        assert found.shape == (1, 4 + 5 + 2 + 6, 5, 5)
        assert torch.equal(found[:, :4], block.get_submodule("b")(first))
        assert torch.equal(found[:, 9:11], _pooled(x, "max"))


def test_other_weights_are_no_inception(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("no weights", encoding="utf-8")
    torch.save({"fc.weight": torch.zeros(1008, 2048)}, tmp_path / "part.pth")
    torch.save({"fc.weight": torch.zeros(1000, 2048)}, tmp_path / "torchvision.pth")
    torch.save({"fc.weight": print}, tmp_path / "code.pth")
    for name in ("text", "part", "torchvision", "code", "absent"):
        with pytest.raises(CheckpointError, match=r"^inception: got .* expected"):
            extractors.load("inception", str(tmp_path / f"{name}.pth"))


def test_pictures_are_stretched_and_normed() -> None:
    grey = np.full((2, 4, 8, 3), 255, np.uint8)
    found = resized(grey, 6, IMAGENET, 3)  # type: ignore[arg-type]
    assert found.shape == (2, 3, 6, 6)
    assert_close(found[0, :, 0, 0], [(1 - mean) / spread for mean, spread in zip(*IMAGENET, strict=True)])


class Colours(torch.nn.Module):
    """Mean colours, times three."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 3 * x.mean(dim=(2, 3))


def saved(module: torch.nn.Module, path: Path) -> str:
    """As TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would have it exported
        torch.jit.trace(module, torch.rand(1, 3, 4, 4)).save(str(path))  # type: ignore[no-untyped-call]
    return str(path)


def test_sscd_gives_unit_vectors(tmp_path: Path) -> None:
    found = Sscd.load(saved(Colours(), tmp_path / "sscd.pt"))
    rows = resized(PICTURES, 288, IMAGENET, 2).mean(dim=(2, 3))  # type: ignore[arg-type]
    assert_close(found.features(PICTURES), torch.nn.functional.normalize(rows, dim=1))
    assert found.name.startswith("SSCD, SHA-256 ")


def test_what_is_no_descriptor_is_no_sscd(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("no program", encoding="utf-8")
    whole = saved(torch.nn.Flatten(0), tmp_path / "whole.pt")
    for path in (str(tmp_path / "text.pt"), str(tmp_path / "absent.pt"), whole):
        with pytest.raises(CheckpointError, match=r"^sscd: got "):
            extractors.load("sscd", path)


def test_clipscore_is_two_and_a_half_cosines_above_zero() -> None:
    pictures, texts = (
        np.array([[1, 0], [0.6, 0.8], [1, 0]], np.float32),
        np.array([[1, 0], [1, 0], [-1, 0]], np.float32),
    )
    assert_close(clip_scores(pictures, texts), [2.5, 1.5, 0])


def test_what_is_missing_says_what_to_fetch() -> None:
    assert all(
        "fetch" in extractors.missing(kind) and f"--{kind}" in extractors.missing(kind) for kind in extractors.KNOWN
    )

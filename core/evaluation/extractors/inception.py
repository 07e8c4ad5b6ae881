"""The Inception network that FID is defined by: Szegedy et al. 2015 as TensorFlow had it, 2,048 features a picture.

FID and KID are comparable with published ones only by these very weights and this way of making pictures larger, which
is not that of today's libraries: TensorFlow 1's bilinear one, average pools that leave the border out, and a maximum in
the last block (Heusel et al. 2017; Parmar et al. 2022). The parameters have the names of the file that pytorch-fid and
torch-fidelity read. torch-fidelity itself loads that file with Python's unpickler, which runs what a file says; here
torch reads tensors alone (`weights_only`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...types import CheckpointError, FloatArray
from ..suite import Pixels
from .preparing import digest, in_parts

SIDE, FEATURES, CLASSES = 299, 2048, 1008
PUBLISHED: Final = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""SHA-256 of the weights that published figures use."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution with its norm, by its name in the file; kernel: height and width."""

    name: str
    inputs: int
    outputs: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Branch:
    """A pool ("", "mean", "max", or "halve": a maximum by stride 2), layers, and those that end it in parallel."""

    pool: str = ""
    layers: tuple[Layer, ...] = ()
    ends: tuple[Layer, ...] = ()


class Convolution(nn.Module):
    """Convolution, norm, and what is above 0; strides take no border, others keep the size."""

    def __init__(self, layer: Layer, bordered: bool = True) -> None:
        super().__init__()
        height, width = layer.kernel
        border = (height // 2, width // 2) if bordered and layer.stride == 1 else (0, 0)
        self.conv = nn.Conv2d(layer.inputs, layer.outputs, layer.kernel, layer.stride, border, bias=False)
        self.bn = nn.BatchNorm2d(layer.outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """[N, outputs, h, w] of [N, inputs, H, W]."""
        return F.relu(self.bn(self.conv(x)))


class Block(nn.Module):
    """Branches side by side; their channels follow one another."""

    def __init__(self, branches: Sequence[Branch]) -> None:
        super().__init__()
        self._branches = tuple(branches)
        for branch in branches:
            for layer in (*branch.layers, *branch.ends):
                self.add_module(layer.name, Convolution(layer))

    def forward(self, x: Tensor) -> Tensor:
        """[N, all outputs, h, w] of [N, inputs, H, W]."""
        return torch.cat([part for branch in self._branches for part in self._run(branch, x)], dim=1)

    def _run(self, branch: Branch, x: Tensor) -> Iterator[Tensor]:
        y = _pooled(x, branch.pool)
        for layer in branch.layers:
            y = self.get_submodule(layer.name)(y)
        yield from [self.get_submodule(end.name)(y) for end in branch.ends] or [y]


def _pooled(x: Tensor, pool: str) -> Tensor:
    if pool == "mean":
        return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    if pool == "max":
        return F.max_pool2d(x, 3, stride=1, padding=1)
    return F.max_pool2d(x, 3, stride=2) if pool == "halve" else x


def _wide(inputs: int, pooled: int) -> list[Branch]:
    """Mixed_5: at 35 x 35."""
    double = (Layer("branch3x3dbl_1", inputs, 64), Layer("branch3x3dbl_2", 64, 96, (3, 3)))
    return [
        Branch(layers=(Layer("branch1x1", inputs, 64),)),
        Branch(layers=(Layer("branch5x5_1", inputs, 48), Layer("branch5x5_2", 48, 64, (5, 5)))),
        Branch(layers=(*double, Layer("branch3x3dbl_3", 96, 96, (3, 3)))),
        Branch("mean", (Layer("branch_pool", inputs, pooled),)),
    ]


def _to_middle() -> list[Branch]:
    """Mixed_6a: from 35 x 35 to 17 x 17."""
    double = (Layer("branch3x3dbl_1", 288, 64), Layer("branch3x3dbl_2", 64, 96, (3, 3)))
    return [
        Branch(layers=(Layer("branch3x3", 288, 384, (3, 3), 2),)),
        Branch(layers=(*double, Layer("branch3x3dbl_3", 96, 96, (3, 3), 2))),
        Branch("halve"),
    ]


def _middle(inner: int) -> list[Branch]:
    """Mixed_6: at 17 x 17, with kernels of one row and of one column."""
    single = (Layer("branch7x7_1", 768, inner), Layer("branch7x7_2", inner, inner, (1, 7)))
    kernels = [((7, 1), inner), ((1, 7), inner), ((7, 1), inner), ((1, 7), 192)]
    double = (Layer(f"branch7x7dbl_{n}", inner, out, kernel) for n, (kernel, out) in enumerate(kernels, start=2))
    return [
        Branch(layers=(Layer("branch1x1", 768, 192),)),
        Branch(layers=(*single, Layer("branch7x7_3", inner, 192, (7, 1)))),
        Branch(layers=(Layer("branch7x7dbl_1", 768, inner), *double)),
        Branch("mean", (Layer("branch_pool", 768, 192),)),
    ]


def _to_last() -> list[Branch]:
    """Mixed_7a: from 17 x 17 to 8 x 8."""
    crossed = (Layer("branch7x7x3_2", 192, 192, (1, 7)), Layer("branch7x7x3_3", 192, 192, (7, 1)))
    return [
        Branch(layers=(Layer("branch3x3_1", 768, 192), Layer("branch3x3_2", 192, 320, (3, 3), 2))),
        Branch(layers=(Layer("branch7x7x3_1", 768, 192), *crossed, Layer("branch7x7x3_4", 192, 192, (3, 3), 2))),
        Branch("halve"),
    ]


def _last(inputs: int, pool: str) -> list[Branch]:
    """Mixed_7: at 8 x 8."""
    double = (Layer("branch3x3dbl_1", inputs, 448), Layer("branch3x3dbl_2", 448, 384, (3, 3)))
    return [
        Branch(layers=(Layer("branch1x1", inputs, 320),)),
        Branch(layers=(Layer("branch3x3_1", inputs, 384),), ends=_crossed("branch3x3_2")),
        Branch(layers=double, ends=_crossed("branch3x3dbl_3")),
        Branch(pool, (Layer("branch_pool", inputs, 192),)),
    ]


def _crossed(name: str) -> tuple[Layer, Layer]:
    return Layer(f"{name}a", 384, 384, (1, 3)), Layer(f"{name}b", 384, 384, (3, 1))


class Network(nn.Module):
    """Pictures [N, 3, 299, 299] from -1 to 1 -> features [N, 2048]."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(Layer("", 3, 32, (3, 3), 2))
        self.Conv2d_2a_3x3 = Convolution(Layer("", 32, 32, (3, 3)), bordered=False)
        self.Conv2d_2b_3x3 = Convolution(Layer("", 32, 64, (3, 3)))
        self.Conv2d_3b_1x1 = Convolution(Layer("", 64, 80))
        self.Conv2d_4a_3x3 = Convolution(Layer("", 80, 192, (3, 3)), bordered=False)
        self.Mixed_5b, self.Mixed_5c = Block(_wide(192, 32)), Block(_wide(256, 64))
        self.Mixed_5d, self.Mixed_6a = Block(_wide(288, 64)), Block(_to_middle())
        self.Mixed_6b, self.Mixed_6c = Block(_middle(128)), Block(_middle(160))
        self.Mixed_6d, self.Mixed_6e = Block(_middle(160)), Block(_middle(192))
        self.Mixed_7a = Block(_to_last())
        self.Mixed_7b, self.Mixed_7c = Block(_last(1280, "mean")), Block(_last(2048, "max"))
        self.fc = nn.Linear(FEATURES, CLASSES)  # in the file; no figure here uses it

    def forward(self, x: Tensor) -> Tensor:
        """See above."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, stride=2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean(dim=(2, 3))


def structure() -> Network:
    """The network without numbers, which the file has."""
    with torch.device("meta"):
        return Network()


@dataclass(frozen=True)
class Inception:
    """See `Extractor`; make one with `load`."""

    name: str
    network: Network
    published: bool

    @classmethod
    def load(cls, path: str) -> Inception:
        """From the file; CheckpointError for one that cannot be read, or is of another network."""
        place = Path(path)
        known, network = digest(place, "inception"), structure()
        try:
            found = torch.load(place, map_location="cpu", weights_only=True)
            told = network.load_state_dict(found, strict=False, assign=True)
            lacking = [name for name in told.missing_keys if "num_batches" not in name]
        except Exception as error:  # torch raises nearly anything for damaged files
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
            got = f"got {path!r:.200}, which cannot be read ({reason})"
            raise CheckpointError(f"inception: {got}; expected FID's Inception weights, fetch them again") from None
        if lacking:
            got = f"got {path!r:.200} without {lacking[0]:.80}"
            raise CheckpointError(f"inception: {got}; expected FID's Inception weights, not those of torchvision")
        return cls(f"Inception, SHA-256 {known[:12]}", network.eval(), known == PUBLISHED)

    def features(self, pictures: Pixels) -> FloatArray:
        """[N, 2048]."""
        return in_parts(lambda part: self.network((enlarged(part) - 128) / 128), pictures)


def enlarged(pictures: Pixels, side: int = SIDE) -> Tensor:
    """Pictures [N, H, W, 3] as [N, 3, side, side], by the bilinear resizing of TensorFlow 1.

    Pixel i is read at i * H / side, so that the first one stays where it is and the last ones repeat the border.
    """
    x = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float()
    return _along(_along(x, 2, side), 3, side)


def _along(x: Tensor, axis: int, side: int) -> Tensor:
    size = x.shape[axis]
    places = torch.arange(side, dtype=torch.float32) * (size / side)
    low = places.floor().long().clamp(max=size - 1)
    share = (places - low).reshape([-1 if dim == axis else 1 for dim in range(x.dim())])
    first, second = x.index_select(axis, low), x.index_select(axis, (low + 1).clamp(max=size - 1))
    return first + (second - first) * share

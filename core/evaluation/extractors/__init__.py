"""Networks of other people that see pictures, by weights that are given by path; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Final, Protocol

from ...types import FloatArray
from ..suite import Pixels
from ..weights import check_transformers


class Extractor(Protocol):
    """What a network sees of pictures."""

    @property
    def name(self) -> str:
        """Which it is, and what tells its weights from others."""
        ...

    def features(self, pictures: Pixels) -> FloatArray:
        """[N, F] of pictures [N, H, W, 3]."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """An extractor that can be given: its option's name, the figures it is for, what to fetch, where its class is."""

    option: str
    figures: str
    fetch: str
    place: str
    transformers: bool = False


KNOWN: Final[Mapping[str, Known]] = {
    "inception": Known(
        "inception",
        "Inception FID",
        "fetch weights-inception-2015-12-05-6726825d.pth of torch-fidelity v0.2.0, and give it as --inception",
        ".inception:Inception",
    ),
    "dinov2": Known(
        "dinov2",
        "FD-DINOv2",
        "fetch the repository facebook/dinov2-large of the Hugging Face hub, and give its folder as --dinov2",
        ".dinov2:Dinov2",
        transformers=True,
    ),
    "clip": Known(
        "clip",
        "CMMD and CLIPScore",
        "fetch the repository openai/clip-vit-large-patch14-336 of the hub, and give its folder as --clip",
        ".clip:Clip",
        transformers=True,
    ),
    "sscd": Known(
        "sscd",
        "SSCD",
        "fetch sscd_disc_mixup.torchscript.pt of facebookresearch/sscd-copy-detection, and give it as --sscd",
        ".sscd:Sscd",
    ),
}
"""By option."""


def load(option: str, path: str) -> Extractor:
    """The extractor of an option from its file or folder.

    Raises CheckpointError for weights that cannot be read, ConfigError where transformers is needed and not there.
    """
    known = KNOWN[option]
    if known.transformers:
        check_transformers(option)
    module, _, name = known.place.partition(":")
    loader: Callable[[str], Extractor] = getattr(import_module(module, __package__), name).load
    return loader(path)


def missing(option: str) -> str:
    """Why the figures of an option are not there."""
    return f"no weights were given; {KNOWN[option].fetch}"

"""CLIP and DINOv2 as they are loaded from folders, at a tiny size with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPModel, CLIPTokenizer, Dinov2Config, Dinov2Model

from core.evaluation import extractors
from core.evaluation.extractors.clip import Clip
from core.evaluation.extractors.preparing import CLIP, IMAGENET, resized
from core.types import CheckpointError
from tests.closeness import assert_close
from tests.tiny_judges import save_clip

PICTURES = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("dinov2")
    sizes = Dinov2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14)
    Dinov2Model(sizes).save_pretrained(folder)
    return folder


def test_clip_sees_pictures_and_reads_prompts_as_unit_vectors(clip: Path) -> None:
    found = extractors.load("clip", str(clip))
    assert isinstance(found, Clip)
    model, words = CLIPModel.from_pretrained(clip).eval(), CLIPTokenizer.from_pretrained(clip)
    inputs = words(["A photo depicts a dog", "A photo depicts cat"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        pixels = resized(PICTURES, 32, CLIP, Image.Resampling.BICUBIC)
        seen = model.visual_projection(model.vision_model(pixels).pooler_output)
        read = model.text_projection(model.text_model(**inputs).pooler_output)
    assert_close(found.features(PICTURES), torch.nn.functional.normalize(seen, dim=1))
    assert_close(found.texts(["a dog", "cat"]), torch.nn.functional.normalize(read, dim=1))


def test_dinov2_gives_its_class_token(dinov2: Path) -> None:
    found = extractors.load("dinov2", str(dinov2))
    model = Dinov2Model.from_pretrained(dinov2).eval()
    with torch.inference_mode():
        pixels = resized(PICTURES, 224, IMAGENET, Image.Resampling.BICUBIC)
        token = model(pixels).last_hidden_state[:, 0]
    assert_close(found.features(PICTURES), token)


def test_one_model_is_not_the_other(clip: Path, dinov2: Path, tmp_path: Path) -> None:
    for kind, folder in (("clip", dinov2), ("dinov2", clip), ("clip", tmp_path)):
        with pytest.raises(CheckpointError, match=f"^{kind}: got "):
            extractors.load(kind, str(folder))

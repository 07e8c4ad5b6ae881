"""Models of transformers that judge pictures, at a tiny size with random weights, in folders as on the hub."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForQuestionAnswering,
    BlipProcessor,
    CLIPConfig,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizer,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    SwinConfig,
    ViltConfig,
    ViltForQuestionAnswering,
    ViltProcessor,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.mask2former.image_processing_pil_mask2former import Mask2FormerImageProcessorPil
from transformers.models.vilt.image_processing_pil_vilt import ViltImageProcessorPil

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "is", "there", "a", "dog", "?", "yes", "no")


def save_mask2former(folder: Path, apple: float = 9.0) -> Path:
    """Mask2Former for an apple, a mouse and a thing that GenEval does not name; apple: how sure it is of apples."""
    torch.manual_seed(0)
    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = SwinConfig(
        image_size=64, embed_dim=8, depths=[1] * 4, num_heads=[1, 1, 2, 2], window_size=2, out_features=stages
    )
    model = Mask2FormerForUniversalSegmentation(Mask2FormerConfig(
        backbone_config=backbone, feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=16,
        encoder_layers=1, decoder_layers=2, num_attention_heads=2, dim_feedforward=16, num_queries=4,
        id2label={0: "apple", 1: "mouse", 2: "unicorn"}, label2id={"apple": 0, "mouse": 1, "unicorn": 2},
    ))  # fmt: skip
    with torch.no_grad():
        model.class_predictor.bias[0] += apple
    model.save_pretrained(folder)
    Mask2FormerImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


def save_clip(folder: Path) -> Path:
    """CLIP that reads letters."""
    torch.manual_seed(0)
    letters = [chr(number) for number in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**sizes, "vocab_size": len(words), "bos_token_id": 52, "eos_token_id": 53, "pad_token_id": 53}
    vision = {**sizes, "image_size": 32, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(folder)
    prepare = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    tokenizer = CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=[])
    CLIPProcessor(prepare, tokenizer).save_pretrained(folder)
    return folder


def save_vilt(folder: Path, favourite: str = "yes") -> Path:
    """ViLT that answers yes, no or two, and nearly always its favourite."""
    torch.manual_seed(0)
    answers = {0: "yes", 1: "no", 2: "two"}
    model = ViltForQuestionAnswering(ViltConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        image_size=32, patch_size=16, max_position_embeddings=40, id2label=answers,
        label2id={name: number for number, name in answers.items()},
    ))  # fmt: skip
    with torch.no_grad():
        model.classifier[-1].bias[list(answers.values()).index(favourite)] += 9
    model.save_pretrained(folder)
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(WORDS)})
    ViltProcessor(ViltImageProcessorPil(size={"shortest_edge": 32}), tokenizer).save_pretrained(folder)
    return folder


def save_blip(folder: Path) -> Path:
    """BLIP that writes words."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {
        **sizes, "vocab_size": len(WORDS), "encoder_hidden_size": 16, "projection_dim": 16,
        "max_position_embeddings": 40,
        "bos_token_id": 5, "pad_token_id": 0, "eos_token_id": 3, "sep_token_id": 3,
    }  # fmt: skip
    model = BlipForQuestionAnswering(BlipConfig(
        text_config=text, vision_config={**sizes, "image_size": 32, "patch_size": 16}, projection_dim=16,
        image_text_hidden_size=16,
    ))  # fmt: skip
    model.save_pretrained(folder)
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(WORDS)})
    BlipProcessor(BlipImageProcessorPil(size={"height": 32, "width": 32}), tokenizer).save_pretrained(folder)
    return folder

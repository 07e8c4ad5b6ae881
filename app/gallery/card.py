"""What the Hub reads of a static Space, and shows of it."""

from __future__ import annotations

from typing import Final

LICENSE: Final = "license: mit\n"
CARD: Final = """---
title: AR-RAG Loupe, recorded
emoji: 🔎
colorFrom: indigo
colorTo: yellow
sdk: static
app_file: index.html
pinned: false
license: mit
short_description: Recorded runs of retrieval in image generation
tags:
  - image-generation
  - autoregressive
  - retrieval-augmented-generation
  - interpretability
  - visualization
models: []
---

# AR-RAG Loupe: recorded runs

Pictures that a small autoregressive model drew patch by patch, with what it looked up before each of them. Step
through every run: what was found, from which picture, and what it changed. Nothing is computed here, and nothing is
fetched from anywhere else: these are recordings, as plain files.

The method is AR-RAG (Qi et al., NeurIPS 2025): [Autoregressive Retrieval Augmentation for Image
Generation](https://arxiv.org/abs/2506.06962). The models were trained from nothing for this page and come with its
code; they are not on the Hub.

Code: MIT. The pictures come from Fluent Emoji (MIT), Noto Emoji (Apache-2.0), Twemoji (CC BY 4.0, © Twitter, Inc. and
other contributors) and models that were trained on them.
"""

ATTRIBUTES: Final = """* -text
*.bin filter=lfs diff=lfs merge=lfs -text
*.webp filter=lfs diff=lfs merge=lfs -text
*.png filter=lfs diff=lfs merge=lfs -text
"""
"""What git does with the files: nothing to line ends, and pictures and traces go where the Hub wants large files."""


def card(thumbnail: str) -> str:
    """The README; thumbnail: its address, "" for none."""
    return CARD.replace(LICENSE, f"{LICENSE}thumbnail: {thumbnail}\n", 1) if thumbnail else CARD

"""What the Hub reads of a Gradio Space, and shows of it: the front matter of its README, requirements, attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Hardware = Literal["zero", "cpu"]
Model = Literal["embedded", "janus"]

HARDWARE: Final[Mapping[Hardware, str]] = {"zero": "zero-a10g", "cpu": "cpu-basic"}
"""What the Hub calls the kinds of machines."""

GRADIO: Final = "6.31.0"
PYTHON: Final = "3.12.12"
"""ZeroGPU has that one and 3.10.13."""

ZERO_TORCH: Final = "torch>=2.8,<2.12,!=2.9.0"
"""ZeroGPU has 2.8.0, 2.9.1, 2.10.0 and 2.11.0."""

CPU_INDEX: Final = "--extra-index-url https://download.pytorch.org/whl/cpu"
"""Has builds without CUDA, which are ten times smaller; of one version pip prefers them."""

REPOSITORIES: Final[Mapping[Model, tuple[str, ...]]] = {
    "embedded": (),
    "janus": ("deepseek-community/Janus-Pro-1B", "jingyq1/arrag_faid"),
}
"""What is loaded from the Hub."""

STARTUP: Final[Mapping[Model, str]] = {"embedded": "15m", "janus": "1h"}
LFS: Final = ("safetensors", "npy", "bin", "webp", "png")
ATTRIBUTES: Final = "* text=auto eol=lf\n" + "".join(f"*.{end} filter=lfs diff=lfs merge=lfs -text\n" for end in LFS)
"""What git does with the files: those that are no text go where the Hub wants large files."""

TITLES: Final[Mapping[Model, str]] = {"embedded": "AR-RAG Loupe", "janus": "AR-RAG Loupe, Janus-Pro"}
SHORT: Final[Mapping[Model, str]] = {
    "embedded": "Watch retrieval change an image, patch by patch",
    "janus": "Watch retrieval change Janus-Pro, patch by patch",
}
TEXT: Final = """
# AR-RAG Loupe

A visual debugger for autoregressive retrieval augmentation of image generation. A model draws a picture patch by patch,
and looks up before each patch how real pictures went on from there. Type a prompt, watch it being drawn, and step
through every position: what was found, from which picture, at which distance, and what it changed.

{runs}

The method is AR-RAG (Qi et al., NeurIPS 2025): [Autoregressive Retrieval Augmentation for Image
Generation](https://arxiv.org/abs/2506.06962). The engine is written from scratch.

Code: MIT. The pictures, captions and word vectors come from Fluent Emoji (MIT), Noto Emoji (Apache-2.0), Twemoji (CC BY
4.0), emojibase (MIT) and MiniLM (Apache-2.0); `assets/LICENSES.md` has versions and attribution.
"""
RUNS: Final[Mapping[Model, str]] = {
    "embedded": "Its two small models come with it and draw on the CPU: no quota is used.",
    "janus": "Set `ARRAG_BACKEND` to `janus` in the Space's settings: it then draws with Janus-Pro, and each picture\n"
    "uses some of the visitor's daily time on ZeroGPU.",
}


@dataclass(frozen=True, slots=True)
class Card:
    """A Space: what runs on which hardware; name: OWNER/NAME, "" where it is not known."""

    model: Model = "embedded"
    hardware: Hardware = "zero"
    name: str = ""

    def readme(self) -> str:
        """Front matter and text."""
        repositories = list(REPOSITORIES[self.model])
        values: dict[str, object] = {
            "title": TITLES[self.model],
            "emoji": "🔎",
            "colorFrom": "indigo",
            "colorTo": "yellow",
            "sdk": "gradio",
            "sdk_version": GRADIO,
            "python_version": PYTHON,
            "app_file": "app.py",
            "pinned": False,
            "license": "mit",
            "short_description": SHORT[self.model],
            "suggested_hardware": HARDWARE[self.hardware],
            "startup_duration_timeout": STARTUP[self.model],
            "tags": ["image-generation", "autoregressive", "retrieval-augmented-generation", "interpretability"],
            "models": repositories,
        }
        if self.name:
            values["thumbnail"] = f"https://huggingface.co/spaces/{self.name}/resolve/main/thumbnail.png"
        if repositories:
            values["preload_from_hub"] = repositories
        lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
        return "\n".join(["---", *lines, "---", TEXT.format(runs=RUNS[self.model])])

    def requirements(self, ours: Sequence[str], janus: Sequence[str]) -> str:
        """Requirements from those of the project; ours, janus: the lines of its files."""
        wanted = [*ours, *(janus if self.model == "janus" else ())]
        lines = [line for line in wanted if line.strip() and not line.startswith(("#", "-"))]
        if self.hardware == "cpu":
            return "\n".join([CPU_INDEX, *lines, ""])
        bounded = [ZERO_TORCH if line.startswith("torch>") else line for line in lines]
        return "\n".join([*bounded, "spaces>=0.40", ""])

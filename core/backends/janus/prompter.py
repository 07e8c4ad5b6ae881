"""What Janus-Pro reads of a prompt: token ids, framed as its chat template says."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from ...inputs.prompt import clean_prompt
from ...types import CheckpointError, ConfigError
from ..checkpoint import joint_fingerprint, read_json
from ..emoji.text import SAMPLES
from ..facts import JANUS_FACTS

IMAGE_START: Final = "<begin_of_image>"
PLACE: Final = "\uf8ff"
"""Where the prompt stands in its frame: a character that no template has."""
PLAIN_TEMPLATE: Final = "<|User|>: {}\n\n<|Assistant|>:"
"""What the released chat template makes of one message, for folders without one."""
FORMATS: Final = {"deepseek": PLAIN_TEMPLATE, "deepseek_old": "User: {}\n\nAssistant:"}
"""The same for what DeepSeek's processor_config.json calls sft_format (janus/utils/conversation.py)."""
BEGIN, PAD = "<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5c\u2581pad\u2581\uff5c>"
"""Tokens that DeepSeek's code finds by their spelling (janus/models/processing_vlm.py)."""


class Prompter:
    """Prompts -> token ids: the chat template around one message, then the token that starts an image."""

    def __init__(self, folder: Path) -> None:
        try:
            self._tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)  # tokenizer.json, whatever is said of it
        except Exception as error:  # transformers raises nearly anything for a damaged tokenizer
            reason = " ".join(str(error).split())[:160]
            raise CheckpointError(f"{folder}: no readable tokenizer ({reason}); download it again") from None
        self._frame = _frame_beside(folder)
        self._template = None if self._frame else self._tokenizer.chat_template or _template_beside(folder)
        vocabulary = self._tokenizer.get_vocab()
        tokens = {
            "bos": vocabulary.get(BEGIN, self._tokenizer.bos_token_id),
            "pad": vocabulary.get(PAD, self._tokenizer.pad_token_id),
            "image start": vocabulary.get(IMAGE_START),
        }
        if absent := [name for name, token in tokens.items() if token is None]:
            raise CheckpointError(f"{folder}: got a tokenizer without its {absent[0]} token; take one of Janus-Pro")
        self._control = {token: i for token, i in self._tokenizer.get_added_vocab().items() if len(token) > 1}
        self._bos, self._pad, self._start = tokens["bos"], tokens["pad"], tokens["image start"]

    @property
    def fingerprint(self) -> str:
        """Hash of the vocabulary, the template, and what a few texts become with both."""
        words = sorted(self._tokenizer.get_vocab().items())
        samples = [self._tokenizer(sample)["input_ids"] for sample in (self.text("a"), *SAMPLES)]
        return joint_fingerprint(words, self._template or self._frame, self._bos, self._pad, self._start, samples)

    def text(self, prompt: str) -> str:
        """What the model reads; ConfigError for an empty or too long prompt."""
        return "".join(self.pieces(prompt))

    def pieces(self, prompt: str) -> list[str]:
        """What the model reads, cut where a prompt spells a token that means more than its letters.

        Each piece becomes tokens by itself, so that "<|User|>" in a prompt is text; nearly always there is one piece.
        """
        cut = cut_at(clean_prompt(prompt, JANUS_FACTS.prompt), self._control)
        before, *others = self._framed().split(PLACE)
        pieces = [before]
        for after in others:
            pieces = [*pieces[:-1], pieces[-1] + cut[0], *cut[1:]]
            pieces[-1] += after
        return pieces

    def _framed(self) -> str:
        """The text around a prompt, with PLACE where that stands."""
        if self._template is None:
            return (self._frame or PLAIN_TEMPLATE).format(PLACE) + IMAGE_START
        message: Any = {"role": "user", "content": [{"type": "text", "text": PLACE}]}
        text = self._tokenizer.apply_chat_template(
            [message], chat_template=self._template, add_generation_prompt=True, tokenize=False
        )
        return f"{text}{IMAGE_START}"

    def _ids(self, prompt: str) -> list[int]:
        """Token ids of a prompt in its frame; ConfigError when it has more control tokens than the frame itself."""
        first, *others = self.pieces(prompt)
        ids: list[int] = list(self._tokenizer(first)["input_ids"])
        for piece in others:
            ids += self._tokenizer(piece, add_special_tokens=False)["input_ids"]
        control = set(self._control.values()) - {self._tokenizer.unk_token_id}  # which any unknown word becomes
        allowed = self._tokenizer(self._framed().replace(PLACE, ""))["input_ids"]
        if sum(token in control for token in ids) > sum(token in control for token in allowed):
            raise ConfigError("prompt: got a special token of the model in it, expected plain text; leave it out")
        ids = ids if ids[0] == self._bos else [self._bos, *ids]
        if len(ids) > (most := JANUS_FACTS.prompt.tokens):
            got = f"got {len(ids)} tokens with those of the model's own frame"
            raise ConfigError(f"prompt: {got}, expected at most {most}; shorten it")
        return ids

    def texts(self, ids: Sequence[int]) -> list[str]:
        """The token ids as texts, each by itself: a word, a part of one, or a mark."""
        return [str(self._tokenizer.decode([token])) for token in ids]

    def rows(self, prompts: Sequence[str], guided: bool) -> tuple[Tensor, Tensor]:
        """Token ids [R, T], filled up at the left, and how many were filled in [R].

        The rows after the conditional ones, if guided, keep the first and the last token only, as in transformers.
        """
        encoded = [self._ids(prompt) for prompt in prompts]
        longest = max(map(len, encoded))
        padding = torch.tensor([longest - len(ids) for ids in encoded])
        rows = torch.tensor([[self._pad] * (longest - len(ids)) + ids for ids in encoded])
        if not guided:
            return rows, padding
        kept = (rows == self._bos) | (rows == self._start)
        return torch.cat([rows, rows.where(kept, self._pad)]), padding.repeat(2)


def cut_at(text: str, tokens: Collection[str]) -> list[str]:
    """A text in pieces that spell none of the tokens: each is cut behind its first letter."""
    if not tokens or not (found := re.search("|".join(map(re.escape, tokens)), text)):
        return [text]
    middle = found.start() + 1
    return [text[:middle], *cut_at(text[middle:], tokens)]


def _frame_beside(folder: Path) -> str:
    """What DeepSeek's processor puts around a prompt, with {} in its place; "" for folders that are not DeepSeek's."""
    path = folder / "processor_config.json"
    said = read_json(path).get("sft_format", "") if path.exists() else ""
    if said and said not in FORMATS:
        expected = f"expected one of {', '.join(FORMATS)}; take a Janus-Pro model"
        raise CheckpointError(f"{path}: sft_format: got {said!r:.40}, {expected}")
    return FORMATS[said] if said else ""


def _template_beside(folder: Path) -> str | None:
    """The chat template that older checkpoints keep in a file of its own."""
    if (folder / "chat_template.jinja").exists():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    path = folder / "chat_template.json"
    template = read_json(path).get("chat_template") if path.exists() else None
    return template if isinstance(template, str) else None

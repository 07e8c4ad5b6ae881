"""Build the embedded patch databases from the training pictures: `python -m core.training.build_database --data data`.

One holds all pictures that models learn from, another what the novice has never seen. Beside them, in the same format
but never searched for anybody's picture, go the held-out sides that the evaluation reads.
"""

from __future__ import annotations

import argparse
import io
import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from ..backends.emoji.backend import load_tokenizer
from ..backends.emoji.text import TextEncoder
from ..backends.emoji.tokenizer import VQTokenizer
from ..codebook import Codebook
from ..context import Context
from ..inputs.arguments import program
from ..patches.database import PatchDatabase
from ..patches.protocol import ImageInfo
from ..types import ConfigError
from . import data

WEBP_QUALITY = 50
UNSEEN_CONTEXT = Context(radius=2, border="zero")
"""For pictures that the model knows nothing of: a longer memory, and an answer for the first row and column, too."""


def webp(picture: data.Pictures) -> bytes:
    """A [H, W, 3] picture as webp, about 1 kB."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "WEBP", quality=WEBP_QUALITY, method=6)
    return file.getvalue()


def iconic(items: Sequence[data.Item], split: str) -> list[int]:
    """Numbers of the pictures that models learn from, or are judged by."""
    return [n for n, item in enumerate(items) if item.iconic and item.split == split]


def unseen(items: Sequence[data.Item], split: str) -> list[int]:
    """Numbers of the pictures that the novice has never seen: iconic ones, then others but variants of held-out ones.

    A variant is whatever shares a word with the label of a picture of another side ("umbrella on ground").
    """
    held_out = {word for item in items if item.iconic and item.split != split for word in _words(item.label)}
    more = [n for n, item in enumerate(items) if item.split == split and not item.iconic]
    chosen = iconic(items, split) + [n for n in more if held_out.isdisjoint(_words(items[n].label))]
    return [n for n in chosen if items[n].unseen]


def _words(label: str) -> set[str]:
    """What a label is about."""
    return set(re.findall(r"\w{3,}", label.lower())) - {"and", "the", "with"}


def build(
    dataset: data.DataSet,
    split: str,
    tokenizer: VQTokenizer,
    encoder: TextEncoder,
    with_pictures: bool,
    only_unseen: bool = False,
    context: Context | None = None,
) -> PatchDatabase:
    """A database of one side of the split: its iconic pictures, or everything that the novice has never seen."""
    chosen = unseen(dataset.items, split) if only_unseen else iconic(dataset.items, split)
    if not chosen:
        raise ConfigError(f"data: got no iconic pictures of side {split!r}; build the data set again")
    items, pictures = [dataset.items[n] for n in chosen], dataset.pictures[chosen]
    sources = {style: f"{package.name} {package.version}" for style, package in data.STYLES.items()}
    encoded = [webp(p) for p in tqdm(pictures, desc=f"{split} pictures", unit="picture")] if with_pictures else None
    return PatchDatabase.build(
        Codebook.from_vectors(tokenizer.codebook.numpy()),
        tokenizer.encode(pictures),
        [ImageInfo(item.label, item.style, item.concept, sources[item.style]) for item in items],
        context,
        captions=encoder.pooled([item.label for item in items]),
        pictures=encoded,
        caption_encoder=encoder.fingerprint,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where everything is read and written."""
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--model", type=Path, default=Path("assets/models/emoji"))
    parser.add_argument("--out", type=Path, default=Path("assets/databases"))
    parser.add_argument("--held-out", type=Path, default=Path("assets/heldout"))


def run(chosen: argparse.Namespace) -> int:
    """Build all databases, and print what those hold that are searched."""
    dataset, tokenizer = data.load(chosen.data), load_tokenizer(chosen.model)
    encoder = TextEncoder.load(chosen.model)
    database = build(dataset, "train", tokenizer, encoder, with_pictures=True)
    database.save(chosen.out / "emoji")
    news = build(dataset, "train", tokenizer, encoder, True, True, UNSEEN_CONTEXT)
    news.save(chosen.out / "unseen")
    for split in ("validation", "test", "pair"):
        build(dataset, split, tokenizer, encoder, with_pictures=False).save(chosen.held_out / split)
    for made in (database, news):
        print(f"{len(made.images)} images, {len(made)} entries, {made.unique_contexts} unique contexts")
    return 0


if __name__ == "__main__":
    raise SystemExit(program(__doc__, add_arguments, run))

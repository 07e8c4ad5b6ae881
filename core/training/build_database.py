"""Build the embedded patch databases from the training pictures: `python -m core.training.build_database --data data`.

One holds all pictures, another only those that the novice has never seen. Beside them, in the same format but never
searched for anybody's picture, go the held-out sides that the evaluation reads.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from core.backends.emoji import load_tokenizer
from core.context import Context
from core.database import ImageInfo, PatchDatabase
from core.text import TextEncoder
from core.tokenizer import Codebook, VQTokenizer
from core.training import data
from core.types import ArragError, ConfigError

WEBP_QUALITY = 75
UNSEEN_CONTEXT = Context(radius=2, border="zero")
"""For pictures that the model knows nothing of: a longer memory, and an answer for the first row and column, too."""


def webp(picture: data.Pictures) -> bytes:
    """A [H, W, 3] picture as webp, about 2 kB."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "WEBP", quality=WEBP_QUALITY, method=6)
    return file.getvalue()


def build(
    dataset: data.DataSet,
    split: str,
    tokenizer: VQTokenizer,
    encoder: TextEncoder,
    with_pictures: bool,
    only_unseen: bool = False,
    context: Context | None = None,
) -> PatchDatabase:
    """A database of all iconic pictures of one side of the split, or only of those that the novice has never seen."""
    items_of = [(n, item) for n, item in enumerate(dataset.items) if item.iconic and item.split == split]
    chosen = [n for n, item in items_of if item.unseen or not only_unseen]
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
    )


def main() -> int:
    """Command line; exit status 2 and one line on an error that the user can mend."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--model", type=Path, default=Path("assets/models/emoji"))
    parser.add_argument("--out", type=Path, default=Path("assets/databases"))
    parser.add_argument("--held-out", type=Path, default=Path("assets/heldout"))
    chosen = parser.parse_args()
    try:
        dataset, tokenizer = data.load(chosen.data), load_tokenizer(chosen.model)
        encoder = TextEncoder.load(chosen.model)
        database = build(dataset, "train", tokenizer, encoder, with_pictures=True)
        database.save(chosen.out / "emoji")
        unseen = build(dataset, "train", tokenizer, encoder, True, True, UNSEEN_CONTEXT)
        unseen.save(chosen.out / "unseen")
        for split in ("validation", "test", "pair"):
            build(dataset, split, tokenizer, encoder, with_pictures=False).save(chosen.held_out / split)
    except ArragError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for made in (database, unseen):
        print(f"{len(made.images)} images, {len(made)} entries, {made.unique_contexts} unique contexts")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

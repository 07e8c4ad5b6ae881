"""Build the training set: captioned emoji in four art styles, 128 x 128 pixels on white, split by concept.

`python -m core.training.data --out data/` packs the pinned npm packages, renders them and writes, per style, one array
of pictures, and one index with caption, tags, concept, style and split of every picture. Interrupted runs go on.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from ..inputs.arguments import program
from ..types import ConfigError

PIXELS = 128
Pictures = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Package:
    """One pinned npm package and the licence that it states."""

    name: str
    version: str
    licence: str
    author: str

    @property
    def archive(self) -> str:
        """File name that `npm pack` gives it."""
        return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}.tgz"


CAPTIONS = Package("emojibase-data", "17.0.0", "MIT", "Miles Johnson")
STYLES: dict[str, Package] = {
    "3d": Package("@lobehub/fluent-emoji-3d", "1.1.0", "MIT", "Microsoft, packed by LobeHub"),
    "noto": Package("@iconify-json/noto", "1.2.9", "Apache-2.0", "Google, packed by Iconify"),
    "twemoji": Package("@iconify-json/twemoji", "1.2.5", "CC-BY-4.0", "Twitter and contributors, packed by Iconify"),
    "flat": Package("@iconify-json/fluent-emoji-flat", "1.2.6", "MIT", "Microsoft, packed by Iconify"),
}

COLOUR_WORDS = re.compile(r"\b(red|orange|yellow|green|light blue|blue|purple|brown|black|grey|white|pink)\b ?")


UNSEEN_STYLE = "flat"
"""Style that the novice, the transformer for showing what retrieval alone can do, is never trained on."""


def _iconic_captions() -> dict[str, str]:
    """Captions of the concepts that the transformer learns, each with its mark in the list: "!", "?" or none."""
    lines = (Path(__file__).parent / "iconic.txt").read_text(encoding="utf-8").splitlines()
    captions = [line for line in lines if not line.startswith("#")]
    return {line.lstrip("!?"): line[: len(line) - len(line.lstrip("!?"))] for line in captions}


ICONIC = _iconic_captions()
POPULAR = {COLOUR_WORDS.sub("", caption) for caption, mark in ICONIC.items() if mark == "!"}
NOVEL = {caption for caption, mark in ICONIC.items() if mark == "?"}


@dataclass(frozen=True, slots=True)
class Concept:
    """What an emoji shows, whatever the style: its caption, other words for it, and its side of the split."""

    key: str
    label: str
    tags: tuple[str, ...]
    iconic: bool
    split: str


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of the training set."""

    concept: str
    style: str
    label: str
    tags: tuple[str, ...]
    iconic: bool
    split: str

    @property
    def unseen(self) -> bool:
        """Whether the novice is never trained on it."""
        return is_unseen(self.label, self.style)


@dataclass(frozen=True, slots=True)
class DataSet:
    """All pictures [N, 128, 128, 3] uint8 and, in the same order, what they show."""

    pictures: Pictures
    items: tuple[Item, ...]


def is_unseen(label: str, style: str) -> bool:
    """Whether a picture is in the style, or of one of the concepts, that the novice is never trained on."""
    return style == UNSEEN_STYLE or label in NOVEL


def fetch(package: Package, folder: Path) -> Path:
    """Path of the package's archive in `folder`, packed by npm unless it is there; ConfigError without npm."""
    path = folder / package.archive
    if path.exists():
        return path
    npm = shutil.which("npm")  # npm.cmd on Windows
    if npm is None:
        raise ConfigError("npm: not found, expected it on the PATH; install Node.js, which brings it, and try again")
    with tempfile.TemporaryDirectory(dir=_made(folder)) as partial:  # an interrupted download leaves no archive
        command = [npm, "pack", "--silent", f"{package.name}@{package.version}"]
        done = subprocess.run(command, cwd=partial, capture_output=True, text=True, check=False)
        packed = Path(partial) / package.archive
        if done.returncode != 0 or not packed.exists():
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
            asked = f"{package.name}@{package.version}"
            raise ConfigError(f"npm pack {asked} failed ({reason}); check the network, try again")
        packed.replace(path)
    return path


def _made(folder: Path) -> Path:
    """The folder, made if need be; ConfigError where that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be made ({error.strerror}); choose another folder") from None
    return folder


def normalised_hexcode(hexcode: str) -> str:
    """Code points in lower case without the variation selector, the one spelling that all packages share."""
    return "-".join(part for part in hexcode.lower().split("-") if part != "fe0f")


def family(label: str) -> str:
    """The label without colour words, so that a red and a blue heart fall on the same side of the split."""
    return COLOUR_WORDS.sub("", label).strip() or label


def split_of(label: str) -> str:
    """train, validation or test (90 : 5 : 5), decided by a hash of the label's family."""
    name = family(label)
    if name in POPULAR or label in NOVEL:
        return "train"
    bucket = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 20
    return {0: "validation", 1: "test"}.get(bucket, "train")


def item_split(concept: Concept, style: str) -> str:
    """The concept's side; one picture in 25 of a trained concept is held out as a (concept, style) "pair"."""
    if concept.split != "train" or not concept.iconic or family(concept.label) in POPULAR or concept.label in NOVEL:
        return concept.split
    bucket = int(hashlib.sha256(f"{concept.label}/{style}".encode()).hexdigest(), 16) % 25
    return "pair" if bucket == 0 else "train"


def colour_held_out(label: str, colour: str) -> bool:
    """Whether a concept is never shown in that colour while training: one combination in ten, decided by a hash."""
    return int(hashlib.sha256(f"{family(label)} in {colour}".encode()).hexdigest(), 16) % 10 == 0


def concepts(emojibase: list[dict[str, Any]]) -> list[Concept]:
    """Everything that has a subject: no components, flags, key caps, skin tones, gendered or direction variants."""
    found = []
    for emoji in emojibase:
        label, group = emoji["label"], emoji.get("group")
        wanted = group in (0, 1, 3, 4, 5, 6, 7) and "gender" not in emoji and "facing right" not in label
        if not wanted or re.match(r"(man|woman|men|women|family|kiss|couple)\b.", label):
            continue
        tags = tuple(t for t in emoji.get("tags", ()) if t != label)
        found.append(Concept(normalised_hexcode(emoji["hexcode"]), label, tags, label in ICONIC, split_of(label)))
    return found


def member(archive: Path, name: str) -> bytes:
    """A file of a package; ConfigError when it cannot be read."""
    try:
        with tarfile.open(archive) as tar:
            file = tar.extractfile(f"package/{name}")
            return file.read() if file else b""
    except (tarfile.TarError, OSError, EOFError, KeyError):
        raise ConfigError(f"{archive}: no readable {name} inside; delete the file and try again") from None


def _on_white(data: bytes) -> Pictures:
    """[128, 128, 3] uint8 of an encoded picture with transparency."""
    picture = Image.open(io.BytesIO(data)).convert("RGBA").resize((PIXELS, PIXELS), Image.Resampling.LANCZOS)
    canvas = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(canvas, picture).convert("RGB"))


def _svg_sources(archive: Path) -> dict[str, str]:
    """Hexcode -> SVG text of an Iconify package."""
    icons = json.loads(member(archive, "icons.json"))
    characters = json.loads(member(archive, "chars.json"))
    aliases = icons.get("aliases", {})
    sources = {}
    for hexcode, name in characters.items():
        while name in aliases:
            name = aliases[name]["parent"]
        icon = icons["icons"].get(name)
        if icon is None:
            continue
        width, height = icon.get("width", icons["width"]), icon.get("height", icons["height"])
        box = f"{icon.get('left', 0)} {icon.get('top', 0)} {width} {height}"
        namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        size = f'width="{PIXELS}" height="{PIXELS}"'
        sources[normalised_hexcode(hexcode)] = f'<svg {namespaces} {size} viewBox="{box}">{icon["body"]}</svg>'
    return sources


def _webp_sources(archive: Path) -> dict[str, bytes]:
    """Hexcode -> encoded picture of the 3d package."""
    with tarfile.open(archive) as tar:
        members = {Path(m.name).stem: m for m in tar.getmembers() if m.name.endswith(".webp")}
        files = ((name, tar.extractfile(member)) for name, member in members.items())
        return {normalised_hexcode(name): file.read() for name, file in files if file is not None}


def render_style(style: str, archive: Path, wanted: list[Concept]) -> tuple[list[str], Pictures]:
    """Concept keys that the style has, and their pictures [N, 128, 128, 3]."""
    import resvg_py  # noqa: PLC0415  (only needed here; the product runs without it)

    if style == "3d":
        encoded = _webp_sources(archive)
    else:
        svgs = _svg_sources(archive)
        encoded = {}
        for concept in tqdm(wanted, desc=f"render {style}", unit="picture"):
            if concept.key in svgs:
                encoded[concept.key] = bytes(resvg_py.svg_to_bytes(svg_string=svgs[concept.key]))
    keys = [concept.key for concept in wanted if concept.key in encoded]
    return keys, np.stack([_on_white(encoded[key]) for key in tqdm(keys, desc=f"draw {style}", unit="picture")])


def build(out: Path) -> None:
    """Write `<style>.npy`, `<style>.json` for every style, and `index.json`, into `out`; finished styles are kept."""
    packages = out / "packages"
    archives = {style: fetch(package, packages) for style, package in STYLES.items()}
    wanted = concepts(json.loads(member(fetch(CAPTIONS, packages), "en/data.json")))
    by_key = {concept.key: concept for concept in wanted}
    index = []
    for style, archive in archives.items():
        pictures, names = out / f"{style}.npy", out / f"{style}.json"
        if not names.exists():
            keys, array = render_style(style, archive, wanted)
            np.save(pictures, array)
            names.write_text(json.dumps(keys), encoding="utf-8")
        for key in json.loads(names.read_text(encoding="utf-8")):
            c = by_key[key]
            index.append(asdict(Item(c.key, style, c.label, c.tags, c.iconic, item_split(c, style))))
    (out / "index.json").write_text(json.dumps(index, ensure_ascii=False, indent=0), encoding="utf-8")


def load(folder: Path) -> DataSet:
    """Read what `build` wrote; ConfigError when it is not there."""
    index = folder / "index.json"
    if not index.exists():
        raise ConfigError(f"{folder}: no index.json, expected a built data set; run python -m core.training.data")
    items = tuple(
        Item(**{**item, "tags": tuple(item["tags"])}) for item in json.loads(index.read_text(encoding="utf-8"))
    )
    pictures = np.concatenate([np.load(folder / f"{style}.npy", allow_pickle=False) for style in STYLES])
    if len(pictures) != len(items):
        raise ConfigError(f"{folder}: got {len(pictures)} pictures for {len(items)} items; delete it and build again")
    return DataSet(pictures, items)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where it goes."""
    parser.add_argument("--out", type=Path, default=Path("data"))


def run(chosen: argparse.Namespace) -> int:
    """Build the data set, and print what is in it."""
    build(chosen.out)
    items = load(chosen.out).items
    iconic = [item for item in items if item.iconic]
    print(f"{len(items)} pictures of {len({i.concept for i in items})} concepts, of which iconic: {len(iconic)}")
    for side, count in sorted(Counter(item.split for item in iconic).items()):
        print(f"  {side}: {count} pictures of {len({i.concept for i in iconic if i.split == side})} concepts")
    return 0


if __name__ == "__main__":
    raise SystemExit(program(__doc__, add_arguments, run))

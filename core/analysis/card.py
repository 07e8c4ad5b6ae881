"""The card of a database: what the hub shows of it, and reads of its first lines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from .stats import UNKNOWN, Stats

SHEET: Final = "contact-sheet.webp"
TAGS: Final = ("image", "patch-database", "retrieval-augmented-generation", "autoregressive-image-generation", "arrag")
LISTED: Final = 20

_SIZES: Final = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"),
                 (10**8, "10M<n<100M"))  # fmt: skip
_LICENCES: Final = (
    (r"cc0|public domain|pdm", "cc0-1.0"),
    (r"cc[- ]by[- ]nc[- ]nd[- ](4\.0|3\.0|2\.0)", "cc-by-nc-nd-{}"),
    (r"cc[- ]by[- ]nc[- ]sa[- ](4\.0|3\.0|2\.0)", "cc-by-nc-sa-{}"),
    (r"cc[- ]by[- ]nc[- ](4\.0|3\.0|2\.0)", "cc-by-nc-{}"),
    (r"cc[- ]by[- ]nd[- ](4\.0)", "cc-by-nd-{}"),
    (r"cc[- ]by[- ]sa[- ](4\.0|3\.0)", "cc-by-sa-{}"),
    (r"cc[- ]by[- ](4\.0|3\.0|2\.5|2\.0)", "cc-by-{}"),
    (r"apache[- ](?:license,? )?(?:version )?2(?:\.0)?", "apache-2.0"),
    (r"mit(?: license)?", "mit"),
    (r"unlicense", "unlicense"),
    (r"wtfpl", "wtfpl"),
)
"""Names that licences go by, and those that the hub has for them."""


def known_licence(text: str) -> str | None:
    """The hub's name of a licence, whatever follows it behind a comma; None for one that it has no name for."""
    words = text.split(",")[0].strip().casefold()
    for pattern, name in _LICENCES:
        if found := re.fullmatch(pattern, words):
            return name.format(*found.groups())
    return None


def licence_of(licences: Mapping[str, int]) -> tuple[str, ...]:
    """What a card says of the licences of images: their names on the hub, ("other",) where some have none there.

    Nothing where no licence is known at all.
    """
    named = [text for text in licences if text != UNKNOWN]
    found = {known_licence(text) for text in named}
    if not named:
        return ()
    return ("other",) if None in found or UNKNOWN in licences else tuple(sorted(name for name in found if name))


def card(name: str, stats: Stats, licences: tuple[str, ...], model: str = "", has_sheet: bool = True) -> str:
    """The text of README.md.

    name: owner/name; licences: see `licence_of`; model: what encoded the pictures, as a user would choose it.
    """
    size = next((words for least, words in _SIZES if stats.images < least), "n>100M")
    viewer = stats.segments_on_disk
    head = [
        "---",
        *_licence_lines(licences),
        f"pretty_name: {quoted(name.rpartition('/')[2])}",
        "tags:", *(f"- {tag}" for tag in TAGS),
        "size_categories:", f"- {size}",
        *(["configs:", "- config_name: images", "  data_files: segments/*/images.parquet"] if viewer else []),
        "---",
    ]  # fmt: skip
    option = f" --backend {model}" if model else ""
    body = [
        f"# {name}",
        f"A patch database: {stats.images:,} images as grids of {stats.grid[0]} x {stats.grid[1]} codes, which make "
        f"{stats.entries:,} entries for autoregressive image generation with retrieval "
        "([AR-RAG](https://arxiv.org/abs/2506.06962)).",
        *([f"![Some of the images]({SHEET})"] if has_sheet else []),
        f'```sh\narrag generate "a prompt"{option} --database hf:{name}\n'
        f"arrag database pull {name} --out patches\n```",
        table("What it holds", _figures(stats), "", ""),
        _licences_said(stats),
        *(table(title, counts, title.rstrip("s").lower(), "images")
          for title, counts in (("Styles", stats.styles), ("Sources", stats.sources)) if set(counts) - {UNKNOWN}),
        "Token grids, pictures and captions follow the licences of the images that they were made of.",
    ]  # fmt: skip
    return "\n".join(head) + "\n\n" + "\n\n".join(body) + "\n"


def _licence_lines(licences: tuple[str, ...]) -> list[str]:
    """The field of the card; left out where nothing is known."""
    if len(licences) == 1:
        return [f"license: {quoted(licences[0])}"]
    return ["license:", *(f"- {quoted(name)}" for name in licences)] if licences else []


def _licences_said(stats: Stats) -> str:
    """The licences of the images in words."""
    if set(stats.licences) <= {UNKNOWN}:
        return "## Licences\n\nThe licences of the images are not known: ask whoever made this database."
    return table("Licences", stats.licences, "licence", "images")


def _figures(stats: Stats) -> Mapping[str, str]:
    """What the first table says."""
    about = "" if stats.exact else "about "
    shown = {
        "images": f"{stats.images:,}",
        "entries": f"{stats.entries:,}",
        "different contexts": f"{about}{stats.unique_contexts:,}",
        "context": f"radius {stats.context_radius}, border {stats.border}",
        "codebook": f"`{stats.codebook}`, {stats.codes_used:,} of {stats.codes:,} codes used",
        "captions": f"{stats.captions:,}",
        "caption vectors": "none" if stats.caption_vectors is None else f"of {stats.caption_vectors} dimensions",
        "pictures": f"{stats.pictures:,}",
        "bytes": f"{stats.bytes:,}",
        "fingerprint": f"`{stats.fingerprint}`",
    }
    return shown


def table(title: str, values: Mapping[str, int] | Mapping[str, str], name: str, value: str) -> str:
    """A heading and a table of names and values; of many the first."""
    shown = [(key, one if isinstance(one, str) else f"{one:,}") for key, one in values.items()]
    rows = [f"| {plain(key) or '(not known)'} | {plain(text)} |" for key, text in shown[:LISTED]]
    more = [f"| {len(shown) - LISTED:,} more | |"] if len(shown) > LISTED else []
    return "\n".join([f"## {title}", "", f"| {name} | {value} |", "| --- | --- |", *rows, *more])


def plain(text: str) -> str:
    """A text of images without what Markdown, HTML or a table would take as their own."""
    one_line = " ".join(text.split())[:120]
    return re.sub(r"([\\|<>\[\]*_#!&])", lambda found: f"&#{ord(found[1])};", one_line)


def quoted(text: str) -> str:
    """A text as YAML has it in quotes."""
    return '"' + " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"') + '"'

"""A page of the pictures of many prompts, beside their files; texts are escaped, nothing comes from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Final

from ...picture_file import About

HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pictures of many prompts</title>
<style>
body { margin: 0 auto; max-width: 80rem; padding: 1rem; background: #fff; color: #1a1a1a; font: 16px/1.5 sans-serif; }
ol { list-style: none; padding: 0; }
h2 { font-size: 1rem; margin: 1.5rem 0 .25rem; overflow-wrap: anywhere; }
.pictures { display: flex; flex-wrap: wrap; gap: .75rem; }
figure { margin: 0; }
img { background: #eee; display: block; height: 128px; width: 128px; object-fit: contain; }
figcaption { font-size: .85rem; }
</style>
</head>
<body>
<h1>Pictures of many prompts</h1>
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture: the line of its prompt, the beginning of its files' names, and how it was made."""

    line: int
    name: str
    about: About


def page_of(shown: Sequence[Shown], page: str) -> str:
    """The page; shown: in the order of their lines; page: address that links lead to."""
    lines = "\n".join(_lines(shown, page))
    told = f"<p>{len(shown):,} pictures. Each opens on the page; its trace is a file beside it.</p>"
    return f"{HEAD}{told}\n<ol>\n{lines}\n</ol>\n</body>\n</html>\n"


def _lines(shown: Sequence[Shown], page: str) -> Iterator[str]:
    for line, group in groupby(shown, lambda one: one.line):
        pictures = list(group)
        figures = "\n".join(_figure(one, page) for one in pictures)
        head = f"{line}. {escape(pictures[0].about.prompt)}"
        yield f'<li><h2>{head}</h2><div class="pictures">\n{figures}\n</div></li>'


def _figure(one: Shown, page: str) -> str:
    """A picture, linked to the page where that can draw it again, and its trace."""
    seed = f"seed {one.about.settings.seed}"
    image = f'<img src="{one.name}.png" alt="{escape(one.about.prompt)}, {seed}" loading="lazy">'
    link = f'<a href="{escape(page + "/" + one.about.link)}">{image}</a>' if one.about.link else image
    return f'<figure>{link}<figcaption>{seed}, <a href="{one.name}.npz" download>trace</a></figcaption></figure>'

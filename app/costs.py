"""What a request will cost before it is begun, and whether that is too much; pure, and imports no gradio."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import pairwise
from typing import Final

from core.backends.complete import complete
from core.context import retrieving_positions
from core.engine import Request
from core.patches.protocol import Database
from core.patches.remote.database import RemoteDatabase
from core.patches.segments.database import SegmentedDatabase
from core.types import ConfigError, DecodeSettings

MOST_FOUND: Final = 2_000_000
"""Neighbours of one picture, in 40 MB; with three million, an embedded one took two and a half times its usual time."""

MOST_FEATURES: Final = 128
"""Of FAiD: so many take a third longer than the usual ten."""

MOST_NEIGHBOURS: Final = 100_000
"""What settings allow; more is all."""

MOST_BYTES: Final = 128 * 2**20
"""Of all pictures of one request, on a server with the embedded models."""

MOST_PICTURES_RECORDED: Final = 4
"""Pictures that may be compared with all that is recorded, however large the model is."""

ENTRY_BYTES: Final = 20
"""Of a neighbour: its code, its distance and its number."""

LOGITS_RECORDED: Final = 3
"""Times the logits of a position, at most: with blenders, without, and with nothing looked up."""


class TooMuch(ConfigError):
    """A request costs more than one may."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request takes.

    nbytes: of its records, in memory and about as many on the disk; found: neighbours of the picture that has most;
    passes: rows that go through the model, of all pictures and positions together.
    """

    nbytes: int
    found: int
    passes: int


def check_cost(requests: Sequence[Request], first: int = 0) -> Cost:
    """What pictures take that are drawn together from a position on, whose earlier ones are recorded already.

    Raises TooMuch, with the largest that fits, for what would keep others from the server.
    """
    _check_features(requests)
    entries = [_entries(request) for request in requests]
    cost = _cost(requests, entries, first)
    if not _fits(cost, requests):
        raise TooMuch(_too_much(requests, entries, cost))
    return cost


def most_bytes(requests: Sequence[Request]) -> int:
    """What all pictures of a request may take: at least what a comparison of plain settings does with any model."""
    logits = max(4 * request.backend.codebook.size * request.backend.grid.positions for request in requests)
    return max(MOST_BYTES, MOST_PICTURES_RECORDED * LOGITS_RECORDED * logits)


# ---------------------------------------------------------------------------------------------------------------------
# How much it is

Entries = Callable[[DecodeSettings], int]
"""How many entries a position may find with some settings."""


def _cost(requests: Sequence[Request], entries: Sequence[Entries], first: int) -> Cost:
    """What pictures take when their look-ups find so many entries."""
    costs = [_picture(request, within, first) for request, within in zip(requests, entries, strict=True)]
    return Cost(
        sum(cost.nbytes for cost in costs), max(cost.found for cost in costs), sum(cost.passes for cost in costs)
    )


def _picture(request: Request, entries: Entries, first: int) -> Cost:
    """What one picture takes, part by part, as changes bring other settings."""
    codes, whole = request.backend.codebook.size, request.backend.grid.positions
    nbytes = found = passes = 0
    for begin, end in pairwise((*request.cuts(0), whole)):
        settings = request.at(begin).settings
        recorded = settings.blends and settings.record_unblended
        looked_up = _looking_up(request, begin, end) if settings.retrieves else 0
        found += looked_up * (entries(settings) if looked_up else 0)
        nbytes += (end - begin) * 4 * codes * (LOGITS_RECORDED if recorded else 1)
        nbytes += (end - begin) * (_feature_bytes(settings) if settings.blends else 0)
        drawn = max(0, end - max(begin, first))
        passes += drawn * (_rows(settings) + (LOGITS_RECORDED - 1 if recorded else 0))
    return Cost(nbytes + ENTRY_BYTES * found, found, passes)


def _rows(settings: DecodeSettings) -> int:
    """Rows of a position in the model: with the prompt, and for guidance without one and with the negative one."""
    guided = settings.cfg_scale != 1
    return 1 + guided + (guided and settings.negative_share > 0)


def _feature_bytes(settings: DecodeSettings) -> int:
    """What is recorded of each feature that goes through the blenders: three numbers in each of two or more."""
    return 3 * 4 * 2 * settings.faid_neighbours


def _looking_up(request: Request, begin: int, end: int) -> int:
    """How many of some positions look up."""
    if request.database is None:
        return 0
    places = retrieving_positions(request.database.context, request.backend.grid)
    return int(((places >= begin) & (places < end)).sum())


def _entries(request: Request) -> Entries:
    """How many entries a position finds, of those that styles and caption filter leave.

    Few that one image has are not worth a look at what these leave.
    """
    database, each = request.database, _per_image(request)
    if database is None:
        return lambda settings: 0
    images_in, filters = lru_cache(partial(_images_in, database)), lru_cache(partial(_filters, request))

    def entries(settings: DecodeSettings) -> int:
        if 0 < settings.n_neighbours <= each:
            return min(settings.n_neighbours, len(database))
        images = images_in(settings.styles)
        if settings.caption_filter and filters():
            images = min(images, settings.caption_filter)
        left = min(len(database), images * each)
        return min(settings.n_neighbours or left, left)

    return entries


def _images_in(database: Database, styles: tuple[str, ...]) -> int:
    """How many images a database has in some styles; none of them means all."""
    if not styles:
        return len(database.images)
    if isinstance(database, SegmentedDatabase | RemoteDatabase):
        return sum(database.style_counts.get(style, 0) for style in set(styles))
    return sum(database.image_info(image).style in styles for image in database.images.tolist())


def _filters(request: Request) -> bool:
    """Whether the caption filter does its work; with a prompt of which no word is known, all images are left."""
    if request.database is None or "caption_filter" in request.database.unsupported_settings:
        return False
    return bool(complete(request.backend).embed_captions([request.prompt]).any())


def _per_image(request: Request) -> int:
    """Entries of an image."""
    return 0 if request.database is None else len(retrieving_positions(request.database.context, request.database.grid))


# ---------------------------------------------------------------------------------------------------------------------
# Whether that is too much


def _fits(cost: Cost, requests: Sequence[Request]) -> bool:
    return cost.found <= MOST_FOUND and cost.nbytes <= most_bytes(requests)


def _check_features(requests: Sequence[Request]) -> None:
    """TooMuch for more features than blenders take in their time."""
    for request in requests:
        most = max((one.faid_neighbours for one in _all_settings(request) if one.blends), default=0)
        if most > MOST_FEATURES:
            raise TooMuch(f"faid_neighbours: got {most} features, expected 1 to {MOST_FEATURES}")


def _too_much(requests: Sequence[Request], entries: Sequence[Entries], cost: Cost) -> str:
    """What is too much, and the largest that is not."""
    several, most = (f"{len(requests)} pictures" if len(requests) > 1 else "a picture"), most_bytes(requests)
    if not _fits_with(requests, entries, 1):
        alone = max(_cost([request], [within], 0).nbytes for request, within in zip(requests, entries, strict=True))
        got = f"{several} would keep {_size(cost.nbytes)}, expected at most {_size(most)}"
        return f"pictures: got {got}; draw up to {max(1, most // alone)} at once"
    limit = _size(min(most, len(requests) * ENTRY_BYTES * MOST_FOUND))
    got = f"{_most_asked(requests)} at every position of {several}, {_size(cost.nbytes)} to keep"
    return f"neighbours: got {got}, expected at most {limit}; {_remedy(requests, entries)}"


def _remedy(requests: Sequence[Request], entries: Sequence[Entries]) -> str:
    """The largest number of neighbours that fits, and the largest caption filter with which all entries do."""
    low, high = 1, MOST_NEIGHBOURS + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _fits_with(requests, entries, middle) else (low, middle)
    images = low // max(1, *(_per_image(request) for request in requests))
    filtered = f", or all with a caption filter of 1 to {images}" if images and all(map(_filters, requests)) else ""
    return f"K up to {_rounded(low):,} fits here{filtered}"


def _fits_with(requests: Sequence[Request], entries: Sequence[Entries], most: int) -> bool:
    """Whether requests fit if they find so many neighbours at most."""
    return _fits(_cost([_limited(request, most) for request in requests], entries, 0), requests)


def _limited(request: Request, most: int) -> Request:
    """A request that finds so many neighbours at most."""

    def limited(settings: DecodeSettings) -> DecodeSettings:
        return replace(settings, n_neighbours=min(settings.n_neighbours or most, most))

    changes = tuple(
        change if change.settings is None else replace(change, settings=limited(change.settings))
        for change in request.changes
    )
    return replace(request, settings=limited(request.settings), changes=changes)


def _most_asked(requests: Sequence[Request]) -> str:
    """The largest number of neighbours that is asked for, in words."""
    asked = [one.n_neighbours for request in requests for one in _all_settings(request) if one.retrieves]
    return "all entries" if 0 in asked else f"{max(asked, default=0):,} entries"


def _all_settings(request: Request) -> list[DecodeSettings]:
    """The settings of the first position, and all others that a change brings."""
    return [request.settings, *(change.settings for change in request.changes if change.settings is not None)]


def _rounded(number: int) -> int:
    """A number of two digits that is not larger."""
    unit = int("1" + "0" * (len(str(number)) - 2))
    return number // unit * unit


def _size(nbytes: int) -> str:
    """Bytes in words."""
    return f"{nbytes / 1e9:.1f} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:,.0f} MB"

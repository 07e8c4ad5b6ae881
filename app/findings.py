"""What scripts and agents are told of databases: typed answers, as those of `app.answers`; imports no gradio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

from core.patches.protocol import Database


class FoundPicture(TypedDict):
    """A picture of a database."""

    image: Annotated[int, "its number"]
    caption: str
    style: str
    source: Annotated[str, "the collection or the file that it came from"]


class FoundPictures(TypedDict):
    """Pictures with some words in their captions."""

    database: str
    searched: Annotated[int, "captions that were searched; fewer than there are pictures where that are very many"]
    total: Annotated[int, "how many of them have the words; not all are listed"]
    pictures: list[FoundPicture]


class FoundPatch(TypedDict):
    """An entry of a database."""

    entry: Annotated[int, "its number in the database"]
    image: Annotated[int, "number of the picture that it is in"]
    caption: str
    style: str
    row: Annotated[int, "where it is in that picture"]
    column: int
    code: Annotated[int, "what came next there"]
    distance: Annotated[float, "squared L2 between contexts; 0 is the same one"]


class FoundPatches(TypedDict):
    """Where a neighbourhood stands."""

    database: str
    context: Annotated[list[int], "codes that were looked up: those above and to the left; -1 outside"]
    exact: Annotated[int, "how often exactly this context stands in the pictures that were counted"]
    counted: Annotated[int, "pictures that were counted; fewer than all in a large database"]
    patches: Annotated[list[FoundPatch], "the nearest first, of the whole database"]


def found_pictures(database: Database, name: str, chosen: Mapping[str, Any]) -> FoundPictures:
    """The answer about pictures that were found by words."""
    infos = [(image, database.image_info(image)) for image in chosen["found"]]
    return FoundPictures(
        database=name,
        searched=chosen["searched"],
        total=chosen["total"],
        pictures=[
            FoundPicture(image=image, caption=info.caption, style=info.style, source=info.source)
            for image, info in infos
        ],
    )


def found_patches(name: str, standing: Mapping[str, Any]) -> FoundPatches:
    """The answer about where a neighbourhood stands."""
    names = FoundPatch.__annotations__
    return FoundPatches(
        database=name,
        context=standing["query"],
        exact=standing["exact"],
        counted=standing["sampled"],
        patches=[FoundPatch(**{field: one[field] for field in names}) for one in standing["found"]],  # type: ignore[typeddict-item]
    )

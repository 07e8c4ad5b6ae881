"""What scripts and agents are told of runs: typed answers as pure functions of kept runs; imports no gradio.

What `Annotated` says of a field becomes its description in the schemas of the endpoints (see app/api.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal, TypedDict

import numpy as np

from app import branches
from app.plans import labels
from app.sources import references_of
from app.visits import Kept
from core.analysis.copying import Region, copying, regions_of
from core.analysis.explain import Explanation, explain, top_codes
from core.analysis.inside import Lens, lens_at, look_at
from core.analysis.provenance import Provenance, effective_number, provenance
from core.backends.protocol import Inspection
from core.draw import Race
from core.trace import Trace
from core.types import Change, FaidStep, Retrieval

# ---------------------------------------------------------------------------------------------------------------------
# Runs


class FileMark(TypedDict):
    """By this Gradio's clients know a file."""

    _type: Literal["gradio.FileData"]


class File(TypedDict):
    """A file of the server; clients download it and put the path of their copy in its place."""

    path: str
    orig_name: str
    meta: FileMark


class Drawn(TypedDict):
    """A run."""

    run: Annotated[str, "id of the run, for the other endpoints"]
    prompt: str
    model: str
    database: Annotated[str, "what it was to look up in, whether or not its method does"]
    settings: Annotated[dict[str, Any], "all of them, those of the first position"]
    height: Annotated[int, "rows of codes"]
    width: Annotated[int, "codes in a row; position = row * width + column"]
    codes: Annotated[list[int], "in raster order"]
    unfiltered: Annotated[str | None, "why the caption filter did nothing; null: it did its work, or was off"]
    incomplete: Annotated[list[int], "positions at which a part of a database on other machines did not answer"]
    flips: Annotated[list[int] | None, "positions where retrieval changed the code that was drawn; null: not recorded"]
    flips_in_hindsight: Annotated[list[int] | None, "where it would have changed one that was given or forced"]
    seconds: float
    link: Annotated[str | None, "query to put behind the page's address: whoever opens it sees this run; null: none"]
    trace: Annotated[File | None, "the whole trace (.npz) for core.trace.Trace.load, if it was asked for"]


class Branched(Drawn):
    """A run that shares its first codes with another one."""

    parent: Annotated[str, "id of the run that it branched from"]
    position: Annotated[int, "the first position that may differ from the parent"]
    change: Annotated[str, "what was changed, in a few words"]
    differing: Annotated[list[int], "positions whose codes differ from the parent's"]


class Compared(Drawn):
    """One of several runs of a prompt."""

    label: Annotated[str, "in what it differs from the others"]


class Comparison(TypedDict):
    """Several runs of one prompt."""

    runs: list[Compared]
    differing: Annotated[list[int], "positions where the codes of the runs are not all the same"]


def drawn(kept: Kept, link: str | None, trace: File | None) -> Drawn:
    """The answer about a run."""
    made, asked = kept.trace, kept.asked
    return Drawn(
        run=kept.id,
        prompt=made.prompt,
        model=asked.model,
        database=asked.database,
        settings=asdict(made.settings),
        height=made.grid.height,
        width=made.grid.width,
        codes=made.codes.tolist(),
        unfiltered=made.unfiltered,
        incomplete=list(made.incomplete),
        flips=made.flips().tolist() if made.flips_known else None,
        flips_in_hindsight=made.flips_in_hindsight().tolist() if made.flips_known else None,
        seconds=round(kept.seconds, 3),
        link=link,
        trace=trace,
    )


def branched(kept: Kept, parent: Kept, trace: File | None) -> Branched:
    """The answer about a branch, which no link can say."""
    at = kept.branch_step
    change = kept.trace.change_at(at) or Change(at)
    return Branched(
        **drawn(kept, None, trace),
        parent=parent.id,
        position=at,
        change=branches.describe(change, parent.trace.settings_at(at)),
        differing=branches.differing(kept.trace.codes, parent.trace.codes),
    )


def compared(runs: Sequence[Kept], answers: Sequence[Drawn]) -> Comparison:
    """The answer about several runs, of which `answers` say the rest."""
    codes = np.stack([run.trace.codes for run in runs])
    rows = zip(answers, labels(runs), strict=True)
    return Comparison(
        runs=[Compared(**one, label=label) for one, label in rows],
        differing=np.flatnonzero((codes != codes[0]).any(axis=0)).tolist(),
    )


# ---------------------------------------------------------------------------------------------------------------------
# One position


class Entropies(TypedDict):
    """In nats; null where there is no such distribution, or where it was not recorded."""

    without_retrieval: float | None
    retrieval: float | None
    blended: float | None


class CodeChances(TypedDict):
    """Probabilities of a code."""

    code: int
    model: float
    retrieval: Annotated[float | None, "null where nothing was retrieved"]
    blended: Annotated[float, "what the code was drawn from"]
    nothing_retrieved: Annotated[float | None, "had nothing been retrieved at this position; null: not recorded"]
    no_blenders: Annotated[float | None, "with nothing retrieved and without FAiD's blenders; null: none, not recorded"]
    noise: Annotated[float | None, "of the race: the largest ln(probability) + noise is drawn; null: drawn by u"]


class Neighbour(TypedDict):
    """A retrieved patch."""

    entry: Annotated[int, "its number in the database, by which a change names it"]
    image: Annotated[int, "number of the picture that it comes from"]
    caption: str
    style: str
    row: Annotated[int, "where it is in that picture"]
    column: int
    code: Annotated[int, "what came next there"]
    distance: Annotated[float, "squared L2 between contexts"]
    share: Annotated[float, "of the retrieval distribution"]
    compatibility: Annotated[list[float], "0..1 in each of FAiD's blenders; empty where it did not go through them"]


class Blender(TypedDict):
    """What one of FAiD's blenders did."""

    layer: int
    hops: Annotated[list[int], "radii of its windows"]
    hop_weights: Annotated[list[float], "of sum 1"]
    share: Annotated[float, "norm of what it added, relative to the hidden state"]


class Position(TypedDict):
    """All that decided the code of one position."""

    run: str
    position: int
    row: int
    column: int
    code: Annotated[int, "the one that was taken"]
    drawn: Annotated[bool, "false where the code was given by an image or chosen; what follows is then hindsight"]
    picked: Annotated[int, "the one that the run's own luck takes; the code itself where it was drawn"]
    code_with_retrieval: Annotated[int, "the one that retrieval leads to; the code itself where it was drawn"]
    code_without_retrieval: Annotated[int | None, "with the same luck, had nothing been retrieved; null: not recorded"]
    code_without_blenders: Annotated[int | None, "the same, and without FAiD's blenders; null: none, or not recorded"]
    flipped: Annotated[bool | None, "whether retrieval changed the code; null: not recorded"]
    shifted: Annotated[bool | None, "whether FAiD's blenders by themselves changed it; null: none, or not recorded"]
    margin: Annotated[float | None, "nats by which the code won the race; null: no other code could, or no race"]
    runner_up: Annotated[int, "the code that came second"]
    u: Annotated[float | None, "only in old traces: the random number in 0..1 that picked the code; null: a race did"]
    retrieval_weight: Annotated[float, "lambda after the gate; 0 where nothing is mixed in"]
    entropy: Entropies
    kl: Annotated[float | None, "nats from the distribution without retrieval to the blended one; null: not recorded"]
    not_retrieved: Annotated[str | None, "why nothing was looked up; null: it was"]
    context: Annotated[list[int], "codes that were looked up: those above and to the left; -1 outside"]
    found: Annotated[int, "how many neighbours came back; not all are listed"]
    codes: Annotated[list[CodeChances], "the likeliest, and those that were or would have been taken"]
    neighbours: Annotated[list[Neighbour], "the nearest first"]
    blenders: Annotated[list[Blender], "in the order of the layers; empty without FAiD"]


def position(kept: Kept, at: int, limit: int) -> Position:
    """The answer about a position that was drawn; limit: how many codes and neighbours are listed at most."""
    here = explain(kept.trace, at)
    record, answer = here.step, here.step.retrieval
    row, column = kept.trace.grid.row_col(at)
    alone, retrieval, blended = map(known, here.entropies)
    return Position(
        run=kept.id,
        position=at,
        row=row,
        column=column,
        code=record.code,
        drawn=here.drawn,
        picked=here.own,
        code_with_retrieval=here.taken,
        code_without_retrieval=here.without,
        code_without_blenders=here.unblended,
        flipped=None if here.nothing is None else here.flip,
        shifted=None if here.bare is None else here.shift,
        margin=known(here.margin),
        runner_up=here.runner_up,
        u=record.u,
        retrieval_weight=here.blend.weight,
        entropy=Entropies(without_retrieval=alone, retrieval=retrieval, blended=blended),
        kl=known(here.moved),
        not_retrieved=here.reason,
        context=answer.query.tolist() if isinstance(answer, Retrieval) else [],
        found=len(here.found) if here.found else 0,
        codes=_chances(here, limit),
        neighbours=_near(here, limit),
        blenders=_blenders(record.faid) if record.faid else [],
    )


def known(value: float) -> float | None:
    """A number for JSON, which has no NaN and no infinity."""
    return float(value) if math.isfinite(value) else None


def _chances(here: Explanation, limit: int) -> list[CodeChances]:
    """The likeliest codes, and all that were or would have been taken."""
    blend, keep = here.blend, sorted(set(here.named))
    codes = top_codes(blend, keep, max(limit, len(keep)), (here.nothing, here.bare))
    return [
        CodeChances(
            code=code,
            model=float(blend.model[code]),
            retrieval=None if blend.retrieval is None else float(blend.retrieval[code]),
            blended=float(blend.blended[code]),
            nothing_retrieved=None if here.nothing is None else float(here.nothing[code]),
            no_blenders=None if here.bare is None else float(here.bare[code]),
            noise=float(here.luck.noise[code]) if isinstance(here.luck, Race) else None,
        )
        for code in codes.tolist()
    ]


def _near(here: Explanation, limit: int) -> list[Neighbour]:
    """The nearest neighbours of a position."""
    found = here.found
    if not found:
        return []
    places = zip(*(place[:limit].tolist() for place in here.places), strict=True)
    return [
        Neighbour(
            entry=int(found.entries[i]),
            image=image,
            caption=here.trace.sources[image].caption,
            style=here.trace.sources[image].style,
            row=row,
            column=column,
            code=int(found.codes[i]),
            distance=float(found.distances[i]),
            share=float(here.shares[i]),
            compatibility=here.compatibilities.get(int(found.entries[i]), []),
        )
        for i, (image, row, column) in enumerate(places)
    ]


def _blenders(faid: FaidStep) -> list[Blender]:
    """What every blender did."""
    rows = zip(faid.layers.tolist(), faid.hop_weights.tolist(), faid.share.tolist(), strict=True)
    return [
        Blender(layer=layer, hops=faid.hops.tolist(), hop_weights=weights, share=share)
        for layer, weights, share in rows
    ]


# ---------------------------------------------------------------------------------------------------------------------
# The inside of the model


class Word(TypedDict):
    """What stands before the codes."""

    word: Annotated[str, "a word, a part of one (## in front: it goes on with the one before) or a mark"]
    weight: float


class CodeChance(TypedDict):
    """A code that the lens reads."""

    code: int
    probability: float


class LensStage(TypedDict):
    """What the lens reads at one place between the layers."""

    layer: int
    place: Annotated[str, "start: what enters it; before, after: around what its blender adds; end: what leaves it"]
    likeliest: Annotated[list[CodeChance], "the likeliest first"]
    taken: Annotated[float, "probability of the code that was taken in the end"]


class Inside(TypedDict):
    """What a position looks at, and what each layer would draw there: of the pass with the prompt, before guidance."""

    run: str
    position: int
    code: Annotated[int, "the one that was taken"]
    layers: int
    heads: Annotated[int, "of a layer"]
    words: Annotated[list[Word], "attention to the words of the prompt and to what else stands before the codes"]
    cells: Annotated[list[float], "attention to the codes before this one, by position; with the words of sum 1"]
    stages: Annotated[list[LensStage], "in the order in which they are passed; the last one is the model's prediction"]
    note: Annotated[str, "what else a reader has to know of this model"]


def inside(kept: Kept, inspection: Inspection, at: int, layer: int | None, head: int | None) -> Inside:
    """The answer about the inside of the model at a position; layer, head: None for the mean."""
    look = look_at(inspection, at, layer, head)
    return Inside(
        run=kept.id,
        position=at,
        code=kept.trace.steps[at].code,
        layers=len(inspection.attention),
        heads=inspection.heads,
        words=[Word(word=word, weight=w) for word, w in zip(inspection.words, look.words.tolist(), strict=True)],
        cells=look.cells.tolist(),
        stages=[_stage(lens) for lens in lens_at(inspection, at)],
        note=inspection.note,
    )


def _stage(lens: Lens) -> LensStage:
    codes = zip(lens.codes.tolist(), lens.chances.tolist(), strict=True)
    likeliest = [CodeChance(code=code, probability=chance) for code, chance in codes]
    return LensStage(layer=lens.stage.layer, place=lens.stage.place, likeliest=likeliest, taken=lens.taken)


# ---------------------------------------------------------------------------------------------------------------------
# Where a picture comes from


class Source(TypedDict):
    """A picture of the database that shaped the drawn one."""

    image: Annotated[int, "its number"]
    caption: str
    style: str
    share: Annotated[float, "of the mass of all blended distributions; for FAiD alone, of the compatibility"]
    credit: Annotated[float, "of the probability of the codes that were taken"]
    positions: Annotated[list[int], "whose code has most of its probability from this picture"]


class Copied(TypedDict):
    """How much is copied: connected, at least four positions of more than one code, from one image at one offset."""

    largest: Annotated[int, "positions of the largest copied region"]
    share: Annotated[float, "of the positions that were looked up, how many are in copied regions"]
    sources: Annotated[int, "how many pictures the copied regions come from"]


class CopiedRegion(TypedDict):
    """A copied region."""

    image: int
    rows: Annotated[int, "down from a position to the cell of the image that it copies"]
    columns: Annotated[int, "to the right, the same"]
    positions: list[int]


class CopyingReference(TypedDict):
    """The same figures of many pictures that are no copies: their 10 %, 50 % and 90 % quantiles."""

    of: Annotated[str, "held-out real pictures, or the model without retrieval"]
    pictures: int
    looked_up_alike: Annotated[bool, "whether they were looked up exactly like the run; else only much like it"]
    largest: list[float]
    share: list[float]
    sources: list[float]


class Sources(TypedDict):
    """Which pictures shaped a drawn one."""

    run: str
    retrieved_share: Annotated[float, "share of all pictures together; the rest is the model's own"]
    effective_sources: Annotated[float, "how many equal shares would be as even as these"]
    count: Annotated[int, "how many pictures have a share; not all are listed"]
    sources: Annotated[list[Source], "the largest share first"]
    copying: Copied
    regions: Annotated[list[CopiedRegion], "the largest first"]
    references: Annotated[list[CopyingReference], "to judge copying by: plain ground is found in any picture"]


def sources(kept: Kept, limit: int) -> Sources:
    """The answer about the sources of a run; limit: how many sources and regions are listed at most."""
    trace = kept.trace
    seen, regions = provenance(trace), regions_of(trace)
    figures = copying(regions, trace.retrieving_positions)
    count = int((seen.shares > 0).sum())
    return Sources(
        run=kept.id,
        retrieved_share=float(seen.shares.sum()),
        effective_sources=effective_number(seen.shares),
        count=count,
        sources=[_source(trace, seen, place) for place in range(min(limit, count))],
        copying=Copied(largest=figures.largest, share=figures.share, sources=figures.sources),
        regions=[_region(region) for region in regions[:limit]],
        references=[_reference(row) for row in references_of(trace, kept.asked)],
    )


def _source(trace: Trace, seen: Provenance, place: int) -> Source:
    """One of the images of a provenance."""
    image = int(seen.images[place])
    return Source(
        image=image,
        caption=trace.sources[image].caption,
        style=trace.sources[image].style,
        share=float(seen.shares[place]),
        credit=float(seen.credits[place]),
        positions=np.flatnonzero(seen.owners == place).tolist(),
    )


def _region(region: Region) -> CopiedRegion:
    rows, columns = region.offset
    return CopiedRegion(image=region.image, rows=rows, columns=columns, positions=list(region.positions))


def _reference(row: Mapping[str, Any]) -> CopyingReference:
    return CopyingReference(
        of=f"{row['model']} without retrieval" if row["model"] else "held-out real pictures",
        pictures=row["pictures"],
        looked_up_alike=row["same"],
        largest=list(row["largest"]),
        share=list(row["share"]),
        sources=list(row["sources"]),
    )

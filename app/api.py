"""Public endpoints for scripts and agents: draw, read, branch, compare, trace back, find; all else stays private.

They do what the page does and know the same runs: those of the caller, whom Gradio's clients tell apart by a session of
their own. Gradio derives the schemas from the annotations of the functions, which must be types here and not texts, and
the description of an MCP tool from its docstring, in which a parameter has one line.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any, Final

import gradio as gr
from gradio.events import api

from app import answers, branches, controls, findings, holdings, links
from app.answers import Branched, Comparison, Drawn, File, FileMark, Inside, Position, Sources
from app.files import file_name, picture_file, trace_file
from app.findings import FoundPatches, FoundPictures
from app.library import Library
from app.plans import MOST_COMPARED, Batch, methods_plan
from app.presenting import error_message
from app.schemas import describe, input_schemas
from app.session import Session
from app.tabs.parts import DRAWS, READS, visitor
from app.views import Asked, Update
from app.visits import Kept
from core.patches.protocol import Database
from core.trace import neighbours
from core.types import METHODS, Change, ConfigError, DecodeSettings

LISTED: Final = 16
"""How many codes, neighbours and sources an answer lists unless it is told otherwise."""

MOST_LISTED: Final = 512
LONGEST_MESSAGE: Final = 500


# ---------------------------------------------------------------------------------------------------------------------
# Endpoints


def endpoints(session: Session, page: gr.Blocks) -> None:
    """Offer the endpoints of a page that is being built; before other events, which would take their names."""
    schemas = input_schemas(session.library)
    drawing = (generate_endpoint(session), branch_endpoint(session), compare_endpoint(session))
    reading = (step_endpoint(session), provenance_endpoint(session))
    finding = (find_pictures_endpoint(session), find_patches_endpoint(session))
    for answer, options in [
        *((answer, DRAWS) for answer in drawing),
        (inside_endpoint(session), READS),
        *((answer, {}) for answer in (*reading, *finding)),
    ]:
        answer.__doc__ = (answer.__doc__ or "").replace("PROMPT_LIMIT", session.library.prompt_limit.words)
        describe(page, api(answer, **options), answer, schemas)


def generate_endpoint(session: Session) -> Callable[..., tuple[Drawn, File]]:
    """Makes /generate."""
    first = session.library.start

    def generate(
        request: gr.Request,
        prompt: str,
        model: str = first.model,
        database: str = first.database,
        settings: dict[str, Any] | None = None,
        trace: bool = False,
    ) -> tuple[Drawn, File]:
        """Draw one picture from a text prompt, code by code, with or without retrieval, and keep all that decided it.

        The same prompt, model, database and settings give the same picture. The answer has an id ("run") with which
        step explains any position, branch changes one, and provenance tells which pictures of the database shaped it.
        Only the caller's newest 32 runs are kept.

        Args:
            prompt: what to draw, PROMPT_LIMIT; may name a colour and a style: "a red heart, 3d style"
            model: which model draws
            database: where methods with retrieval look up how real pictures go on
            settings: how to draw and retrieve; what is not named has its default
            trace: whether the answer is to bring the whole trace as a file, about 1 MB

        Returns:
            run: what was drawn: id, codes, flips
            picture: the picture as a WebP file
        """
        with refusals():
            who, saved = visitor(request), flag("trace", trace)
            asked = wanted(session.library, who, model, database, settings)
            kept = finished(session, who, session.drawing.draw(who, prompt, lambda: asked, tab=None))
            return drawn(session, who, kept, saved), picture_of(session, who, kept)

    return generate


def step_endpoint(session: Session) -> Callable[..., Position]:
    """Makes /step."""

    def step(request: gr.Request, run: str, position: int, limit: int = LISTED) -> Position:
        """Explain how the code at one position of a run came about: neighbours, distributions, the draw.

        Lists the retrieved patches with the pictures they come from, distances and shares, the probabilities of the
        likeliest codes under the model, the retrieval and their blend with their noise in the race that drew the code,
        entropies and KL in nats, and what FAiD's blenders did, if the run has some. No model runs: it is quick.

        Args:
            run: id of a run, as generate, branch and compare give it
            position: of the code, in raster order from 0: row * width + column
            limit: how many codes and how many neighbours to list at most, 1 to 512

        Returns:
            step: all that decided the code
        """
        with refusals():
            kept = session.visits.find(visitor(request), run)
            at = whole("position", position, 0, len(kept.trace.steps) - 1)
            return answers.position(kept, at, whole("limit", limit, 1, MOST_LISTED))

    return step


def branch_endpoint(session: Session) -> Callable[..., tuple[Branched, File]]:
    """Makes /branch."""

    def branch(
        request: gr.Request, run: str, position: int, change: dict[str, Any], trace: bool = False
    ) -> tuple[Branched, File]:
        """Change one position of a run and draw the rest again with the same luck: a counterfactual.

        The new run shares all codes before the position; both runs are kept. Changes of settings (method,
        retrieval_weight, retrieval_temperature, n_neighbours and others, but not seed and faid_neighbours) hold from
        the position on; weights of neighbours and a forced code hold at the position alone. To drop neighbours, give
        them the factor 0 in weights; to pin some, name them in weights with factor 1 and set others to 0.

        Args:
            run: id of the run to branch from
            position: where to change it, in raster order from 0
            change: at least one of settings, weights, others and code
            trace: whether the answer is to bring the whole trace as a file, about 1 MB

        Returns:
            run: the new run, with the positions whose codes differ from the other one
            picture: its picture as a WebP file
        """
        with refusals():
            who, saved = visitor(request), flag("trace", trace)
            parent = session.visits.find(who, run)
            new = changed(session.library, who, parent, position, change)
            kept = finished(session, who, session.drawing.branch(who, run, new, tab=None))
            saved_trace = trace_of(session, who, kept, saved)
            return answers.branched(kept, parent, saved_trace), picture_of(session, who, kept)

    return branch


def compare_endpoint(session: Session) -> Callable[..., tuple[Comparison, File]]:
    """Makes /compare."""
    first = session.library.start

    def compare(
        request: gr.Request,
        prompt: str,
        model: str = first.model,
        database: str = first.database,
        settings: dict[str, Any] | None = None,
        variants: list[dict[str, Any]] | None = None,
        trace: bool = False,
    ) -> tuple[Comparison, File]:
        """Draw several pictures of one prompt with the same luck, and tell where their codes differ.

        Without variants that is one picture by every method that the model has: no retrieval, DAiD, FAiD and both.
        Every picture is a run of its own for step, branch and provenance.

        Args:
            prompt: what to draw, PROMPT_LIMIT
            model: which model draws
            database: where methods with retrieval look up how real pictures go on
            settings: those that all pictures share
            variants: settings of each of 2 to 4 pictures, over the shared ones: [{"method": "model"}, {"gate": 0}]
            trace: whether the answer is to bring the whole traces as files, about 1 MB each

        Returns:
            comparison: the runs in their order, and the positions at which they differ
            picture: all pictures side by side in that order, as one WebP file, each as wide as it is high
        """
        with refusals():
            who, saved = visitor(request), flag("trace", trace)
            asked = wanted(session.library, who, model, database, settings)
            batch = together(session.library, who, asked, settings, variants)
            *_, sheet = session.drawing.draw_together(who, prompt, lambda: batch, tab=None)
            if not sheet.runs:
                raise ConfigError(sheet.message)
            runs = [drawn(session, who, kept, saved) for kept in sheet.runs]
            name = f"{file_name(sheet.runs[0], 'compared')}.webp"
            return answers.compared(sheet.runs, runs), file(session, who, name, sheet.picture)

    return compare


def provenance_endpoint(session: Session) -> Callable[..., Sources]:
    """Makes /provenance."""

    def provenance(request: gr.Request, run: str, limit: int = LISTED) -> Sources:
        """Tell which pictures of the database shaped a run, by how much, and whether regions of it are copied.

        A copied region is one of at least four connected positions and more than one code that stands in one picture
        at one offset. Plain ground is found anywhere: compare with the references, the same figures for held-out real
        pictures and for the model without retrieval.

        Args:
            run: id of a run, as generate, branch and compare give it
            limit: how many pictures and how many copied regions to list at most, 1 to 512

        Returns:
            sources: shares of the pictures, and what is copied
        """
        with refusals():
            kept = session.visits.find(visitor(request), run)
            return answers.sources(kept, whole("limit", limit, 1, MOST_LISTED))

    return provenance


def find_pictures_endpoint(session: Session) -> Callable[..., FoundPictures]:
    """Makes /find_pictures."""
    first = session.library.start

    def find_pictures(
        request: gr.Request, words: str, database: str = first.database, limit: int = LISTED
    ) -> FoundPictures:
        """Find pictures of a database by words of their captions: what can be looked up when something is drawn.

        Every word must be a part of the caption or of the style, whatever the case; pictures with all of them as whole
        words come first. Of a very large database a sample is searched, and the answer says how many. No model runs.

        Args:
            words: one word or a few, such as "red heart"
            database: where to look
            limit: how many pictures to list at most, 1 to 512

        Returns:
            pictures: which ones, and how many there are
        """
        with refusals():
            found = place(session.library, visitor(request), database)
            chosen = holdings.containing(found, holdings.words_of(words), whole("limit", limit, 1, MOST_LISTED))
            return findings.found_pictures(found, database, chosen)

    return find_pictures


def find_patches_endpoint(session: Session) -> Callable[..., FoundPatches]:
    """Makes /find_patches."""
    first = session.library.start

    def find_patches(
        request: gr.Request,
        position: int,
        run: str = "",
        picture: int = -1,
        database: str = first.database,
        limit: int = LISTED,
    ) -> FoundPatches:
        """Find where else the neighbourhood of a position stands in a database, and what came next there.

        The position is one of a run, or one of a picture of the database: give one of run and picture. All entries
        count, by the distance of their contexts alone: what else narrowed the look-ups of a run (caption filter,
        styles, position term) does not. No model runs: it is quick.

        Args:
            position: whose neighbourhood is looked up, in raster order from 0: row * width + column
            run: id of a run, as generate, branch and compare give it
            picture: number of a picture of the database: what step, provenance and find_pictures call image
            database: where to look
            limit: how many entries to list at most, 1 to 512

        Returns:
            patches: the nearest entries, and how often exactly this neighbourhood stands there
        """
        with refusals():
            who, most = visitor(request), whole("limit", limit, 1, MOST_LISTED)
            found = place(session.library, who, database)
            at = whole("position", position, 0, found.grid.positions - 1)
            if bool(run) == (picture != -1):
                raise ConfigError("run, picture: got both or none of them, expected one")
            if run:
                query = holdings.run_context(found, session.visits.find(who, run).trace, at)
            else:
                number = holdings.image_of(found, picture)
                query = holdings.cell_context(found, found.image_codes(number), at, not found.knows_images)
            standing = holdings.standing(found, holdings.Sampled.of(found), query, most)
            return findings.found_patches(database, standing)

    return find_patches


def inside_endpoint(session: Session) -> Callable[..., Inside]:
    """Makes /inside."""

    def inside(
        request: gr.Request, run: str, position: int, layer: int | None = None, head: int | None = None
    ) -> Inside:
        """Show the model's attention at one position of a run, and what each of its layers would draw there.

        The first question about a run takes one pass of the model over it. Attention is what a layer reads from, not a
        reason by itself. What layers would draw is read by the logit lens: the last norm and head on the state between
        layers, a guess in progress. Both are of the pass with the prompt, before guidance, temperature and mixing.

        Args:
            run: id of a run, as generate, branch and compare give it
            position: of the code, in raster order from 0: row * width + column
            layer: whose attention, from 0; null: the mean over all layers
            head: whose attention in that layer, from 0; null: the mean over its heads

        Returns:
            inside: attention to words and earlier codes, and the likeliest codes of every layer
        """
        with refusals():
            who = visitor(request)
            kept = session.visits.find(who, run)
            at = whole("position", position, 0, len(kept.trace.steps) - 1)
            chosen = [None if n is None else whole(name, n, 0, 999) for name, n in (("layer", layer), ("head", head))]
            return answers.inside(kept, session.looking.look(who, run), at, *chosen)

    return inside


# ---------------------------------------------------------------------------------------------------------------------
# What comes in


@contextmanager
def refusals() -> Iterator[None]:
    """Every error reaches the caller as one line, and none with a traceback."""
    try:
        yield
    except Exception as error:
        line = " ".join(error_message(error).split())
        raise gr.Error(line[:LONGEST_MESSAGE], print_exception=False) from None


def wanted(library: Library, who: str, model: object, database: object, settings: object) -> Asked:
    """The request of a caller; ConfigError for anything that cannot be chosen on the page."""
    choices = library.choices(who)
    model, database = (chosen(*pair, choices) for pair in (("model", model), ("database", database)))
    given = {} if settings is None else settings
    values = {**asdict(library.start.settings), **given} if isinstance(given, dict) else given
    asked = Asked(model, database, DecodeSettings.from_json(values))
    controls.check_offered(asked, choices)
    return asked


def place(library: Library, who: str, name: object) -> Database:
    """A database that a caller can choose; ConfigError for any other."""
    return library.databases_of(who)[chosen("database", name, library.choices(who))]


def chosen(kind: str, name: object, choices: Mapping[str, tuple[str, ...]]) -> str:
    """A name of one of the choices, or "" where there are none; ConfigError for any other."""
    names = choices[kind] or ("",)
    if not isinstance(name, str) or name not in names:
        raise ConfigError(f"{kind}: got {name!r:.40}, expected one of {', '.join(names)}")
    return name


def whole(name: str, value: object, low: int, high: int) -> int:
    """A whole number in a range; ConfigError for anything else."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"{name}: got {value!r:.40}, expected a whole number from {low} to {high}")
    return value


def flag(name: str, value: object) -> bool:
    """True or false; ConfigError for anything else."""
    if not isinstance(value, bool):
        raise ConfigError(f"{name}: got {value!r:.40}, expected true or false")
    return value


def changed(library: Library, who: str, parent: Kept, position: object, values: object) -> Change:
    """The change of a run that a caller wants; ConfigError for one that makes no sense or has no effect."""
    at = whole("position", position, 0, len(parent.trace.steps) - 1)
    before = parent.trace.settings_at(at)
    change = branches.change_from(values, before, at)
    branches.branch(parent, change)  # which refuses what changes nothing
    controls.check_offered(replace(parent.asked, settings=change.settings or before), library.choices(who))
    found = neighbours(parent.trace.steps[at])
    strange = {entry for entry, _ in change.weights} - set(found.entries.tolist() if found else ())
    if strange:
        expected = f"expected some of the {len(found) if found else 0} that step lists"
        raise ConfigError(f"change weights: got entry {min(strange)}, which is no neighbour at {at}; {expected}")
    return change


def together(library: Library, who: str, asked: Asked, settings: object, variants: object) -> Batch:
    """The pictures to compare: those of the variants, or else one by every method that the model has."""
    if variants is None:
        methods = [m for m in library.methods if not METHODS[m].blends or library.has_blenders(asked.model)]
        return methods_plan(asked, methods)
    if not isinstance(variants, list) or not 2 <= len(variants) <= MOST_COMPARED:
        raise ConfigError(
            f"variants: got {variants!r:.40}, expected a list of 2 to {MOST_COMPARED} objects of settings"
        )
    if strange := [variant for variant in variants if not isinstance(variant, dict)]:
        raise ConfigError(f"variants: got {strange[0]!r:.40}, expected an object of settings")
    shared = settings if isinstance(settings, dict) else {}
    plans = [wanted(library, who, asked.model, asked.database, {**shared, **variant}) for variant in variants]
    return Batch(tuple(plans), ("",) * len(plans))


# ---------------------------------------------------------------------------------------------------------------------
# What goes out


def finished(session: Session, who: str, updates: Iterator[Update]) -> Kept:
    """The run that comes of updates; ConfigError with the message of one that failed."""
    final = list(updates)[-1:]
    if not final or not final[0].kept:
        raise ConfigError(final[0].message if final else "the drawing was ended by something newer; ask again")
    return session.visits.find(who, final[0].kept)


def drawn(session: Session, who: str, kept: Kept, trace: bool) -> Drawn:
    """The answer about a run, with its trace if that is wanted."""
    try:
        link = links.link_of(kept, session.library.backends, session.library.databases)
    except ConfigError:  # pictures that only the caller has
        link = None
    return answers.drawn(kept, link, trace_of(session, who, kept, trace))


def trace_of(session: Session, who: str, kept: Kept, trace: bool) -> File | None:
    """The trace of a run as a file, if it is wanted."""
    return file(session, who, *trace_file(kept)) if trace else None


def picture_of(session: Session, who: str, kept: Kept) -> File:
    """The picture of a run as a file."""
    return file(session, who, *picture_file(kept))


def file(session: Session, who: str, name: str, data: bytes) -> File:
    """A file that the caller may fetch, at an address that nobody can guess."""
    path = session.files.put(who, data, name)
    return File(path=path, orig_name=name, meta=FileMark(_type="gradio.FileData"))

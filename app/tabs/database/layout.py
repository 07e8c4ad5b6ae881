"""What the tab "Database" lays out, and its events.

What needs no model is a plain call of the script; what runs one goes through the queue of models, and tells who asks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from app import arrivals, holdings
from app.delivery import loader
from app.own import BOTH, YOURS
from app.presenting import error_message
from app.session import Session
from app.tabs.database.holding import Holdings
from app.tabs.parts import READS, Parts, visitor
from app.uploads import FileButton
from app.views import called
from app.visits import Kept
from core.analysis.holdings import NEAREST, pictures_like
from core.analysis.provenance import provenance
from core.inputs.prompt import clean_prompt
from core.patches.protocol import Database, check_caption_encoder
from core.trace import Trace
from core.types import CodeArray, ConfigError

FOLDER = Path(__file__).parent
NAME = FOLDER.name
LISTED = 24
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
Answer = dict[str, Any]


def build(parts: Parts) -> None:
    """Lay the tab out and wire its events."""
    session, places = parts.session, Holdings(parts.session.library)
    places.warm_up()
    panel: Any = gr.HTML(
        value=None,
        html_template=(FOLDER / "database.html").read_text(encoding="utf-8"),
        js_on_load=loader(FOLDER / "database.js", ("meaning",)),
        elem_id="database-place",
        apply_default_css=False,
        server_functions=served(session, places),
    )
    upload = FileButton("Upload an image", elem_id="database-upload")
    chosen: Any = parts.settings.widgets["database"]
    model = parts.settings.widgets["model"]
    gr.on(
        [parts.opened.change, parts.shown.change, chosen.change],
        on_open(session, places),
        inputs=[parts.opened, parts.shown, chosen],
        outputs=panel,
        queue=False,
        trigger_mode="always_last",
        **QUIET,
    )
    models: dict[str, Any] = {**READS, **QUIET}
    panel.meaning(on_meaning(session, places), inputs=model, outputs=panel, trigger_mode="always_last", **models)
    upload.upload(on_upload(session), inputs=[upload, model], outputs=panel, **models)


# ---------------------------------------------------------------------------------------------------------------------
# Which databases there are to look at


def on_open(session: Session, places: Holdings) -> Callable[..., Any]:
    """The handler of an opened tab, of another run, and of another choice of database."""

    def show(opened: str, shown: str, chosen: str | None, request: gr.Request) -> Any:
        return offers(session, places, visitor(request), shown, chosen) if opened == NAME else gr.skip()

    return show


def offers(session: Session, places: Holdings, who: str, shown: str, chosen: str | None) -> Answer:
    """The database chosen in the settings, and that of the run in the stepper, as the script takes them."""
    databases = session.library.databases_of(who)
    kept = kept_run(session, who, shown)
    name = kept.asked.database if kept and kept.trace.origin.database else ""
    run = databases.get(name)
    if kept and run is not None and not arrivals.holds(run, kept.trace):
        run = None
    found = [offer(places, who, chosen, databases[chosen], "settings")] if chosen and chosen in databases else []
    if run is not None and name != chosen:
        found.append(offer(places, who, name, run, "run"))
    used = None
    if kept and run is not None:
        used = {"run": kept.id, "key": places.key(who, name), **used_by(kept)}
    lost = bool(name) and run is None
    return {"kind": "offers", "offers": found, "same": name == chosen, "used": used, "lost": lost}


def offer(places: Holdings, who: str, name: str, database: Database, where: str) -> Answer:
    """A database to look at; version: another one for another content."""
    label = called(name)
    version = database.fingerprint if name in (YOURS, BOTH) else ""  # those of all stay as they are
    return {"key": places.key(who, name), "label": label, "where": where, "version": version}


def kept_run(session: Session, who: str, run: str) -> Kept | None:
    """A run of a visitor; None when there is none."""
    try:
        return session.visits.find(who, run)
    except ConfigError:
        return None


def used_by(kept: Kept) -> Answer:
    """Which images a run used, the largest share first, with their shares; mixes: whether of what codes are drawn from.

    For FAiD alone they are shares of the compatibility, see `neighbour_mass`.
    """
    seen = provenance(kept.trace)
    return {
        "images": seen.images.tolist(),
        "shares": [round(float(share), 5) for share in seen.shares],
        "mixes": any(settings.mixes for settings in kept.trace.all_settings),
        "filters": filters_of(kept.trace),
    }


def filters_of(trace: Trace) -> list[str]:
    """What narrowed the look-ups of a run, in words: the tab itself always looks through the whole database."""
    narrowed = {
        "a caption filter": any(settings.caption_filter for settings in trace.all_settings),
        "a choice of styles": any(settings.styles for settings in trace.all_settings),
        "a position term": any(settings.position_weight for settings in trace.all_settings),
    }
    return [name for name, did in narrowed.items() if did]


# ---------------------------------------------------------------------------------------------------------------------
# Plain calls


def served(session: Session, places: Holdings) -> list[Callable[..., Answer]]:
    """What the script calls: each takes an object and answers with one; `error` says why it does not."""

    def overview(asked: object) -> Answer:
        return answered(asked, lambda wish: dict(places.worked(places.find(wish.get("key"))).overview))

    def portrait(asked: object) -> Answer:
        def answer(wish: Answer) -> Answer:
            database = places.find(wish.get("key"))
            kept = run_of(session, wish)
            trace = kept.trace if kept and arrivals.holds(database, kept.trace) else None
            return holdings.portrait(database, holdings.image_of(database, wish.get("image")), trace)

        return answered(asked, answer)

    def find_words(asked: object) -> Answer:
        def answer(wish: Answer) -> Answer:
            database = places.find(wish.get("key"))
            found = holdings.containing(database, holdings.words_of(wish.get("words")), LISTED)
            return {**found, "found": [holdings.named(database, image) for image in found["found"]]}

        return answered(asked, answer)

    def find_patch(asked: object) -> Answer:
        return answered(asked, lambda wish: stands(session, places, wish))

    def find_like(asked: object) -> Answer:
        def answer(wish: Answer) -> Answer:
            database = places.find(wish.get("key"))
            if "codes" in wish:
                return alike(database, grid_of(database, wish["codes"]), False, -1)
            image = holdings.image_of(database, wish.get("image"))
            return alike(database, database.image_codes(image), not database.knows_images, image)

        return answered(asked, answer)

    return [overview, portrait, find_words, find_patch, find_like]


def answered(asked: object, answer: Callable[[Answer], Answer]) -> Answer:
    """An answer to whatever came; errors are answers, too."""
    try:
        return answer(asked if isinstance(asked, dict) else {})
    except Exception as error:
        return {"error": error_message(error)}


def run_of(session: Session, wish: Answer) -> Kept | None:
    """The run that a call names; None when it names none, or one that is not kept any more."""
    try:
        return session.visits.known(wish["run"]) if isinstance(wish.get("run"), str) and wish["run"] else None
    except ConfigError:
        return None


def stands(session: Session, places: Holdings, wish: Answer) -> Answer:
    """Where the neighbourhood of a position stands: of a run, or of an image of the database."""
    database, position = places.find(wish.get("key")), wish.get("position")
    if not isinstance(position, int) or isinstance(position, bool):
        raise ConfigError(f"position: got {position!r:.20}, expected a whole number; reload the page")
    if "image" in wish:
        image = holdings.image_of(database, wish["image"])
        query = holdings.cell_context(database, database.image_codes(image), position, not database.knows_images)
    else:
        kept = run_of(session, wish)
        if kept is None:
            raise ConfigError("There is no picture in the stepper: draw one, and step to the patch that you look for.")
        query = holdings.run_context(database, kept.trace, position)
    found = holdings.standing(database, places.worked(database).sampled, query, LISTED)
    return {**found, "found": holdings.with_crops(database, found["found"])}


def grid_of(database: Database, codes: object) -> CodeArray:
    """A token grid from a call; ConfigError for anything else."""
    positions, size = database.grid.positions, database.codebook.size
    fits = isinstance(codes, list) and len(codes) == positions
    if not fits or not all(type(code) is int and 0 <= code < size for code in codes):  # type: ignore[attr-defined]
        raise ConfigError(f"codes: expected {positions} whole numbers from 0 to {size - 1}; reload the page")
    return np.array(codes, np.uint16).reshape(database.grid.height, database.grid.width)


def alike(database: Database, codes: CodeArray, inner: bool, without: int) -> Answer:
    """Pictures that share neighbourhoods with a token grid, the most first."""
    like = pictures_like(database, codes, inner, without)
    best = list(zip(like.images.tolist(), like.counts.tolist(), strict=True))[:LISTED]
    found = [{**holdings.named(database, image), "count": count} for image, count in best]
    return {"contexts": like.contexts, "plain": like.plain, "nearest": NEAREST, "found": found}


# ---------------------------------------------------------------------------------------------------------------------
# What runs a model


def on_meaning(session: Session, places: Holdings) -> Callable[..., Answer]:
    """The handler of a search by what captions mean."""

    def meaning(model: str, event: gr.EventData) -> Answer:
        def answer(wish: Answer) -> Answer:
            database = places.find(wish.get("key"))
            words = clean_prompt(" ".join(holdings.words_of(wish.get("words"))))
            return near_in_meaning(session, database, model, words)

        return {"kind": "meaning", **answered(event._data, answer)}

    return meaning


def near_in_meaning(session: Session, database: Database, model: str, words: str) -> Answer:
    """The images whose captions are nearest to some words, for the caption encoder of a model."""
    backend = session.library.backend(model)
    if not backend.caption_encoder:
        raise ConfigError("This model has no caption encoder: search for words contained instead.")
    check_caption_encoder(database, backend.caption_encoder)
    vector = backend.embed_captions([words])[0]
    if not vector.any():
        raise ConfigError(f"The caption encoder knows no word of {words!r:.60}: say it otherwise.")
    images = database.nearest_captions(vector, LISTED)
    vectors = database.caption_vectors(images)
    likeness = [0.0] * len(images) if vectors is None else (vectors @ vector).tolist()
    found = [
        {**holdings.named(database, image), "likeness": round(one, 4)}
        for image, one in zip(images.tolist(), likeness, strict=True)
    ]
    return {"words": words, "found": found}


def on_upload(session: Session) -> Callable[..., Answer]:
    """The handler of a picture of the visitor's: its codes go to the script, which asks for pictures like it."""

    def read(path: str | None, model: str) -> Answer:
        def answer(_: Answer) -> Answer:
            with session.uploads.read(path) as files:
                if not files:
                    raise ConfigError("picture: got nothing, expected a file; choose one")
                return {"codes": session.library.codes_of(model, files[0]).ravel().tolist()}

        return {"kind": "uploaded", **answered({}, answer)}

    return read

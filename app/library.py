"""What there is to draw with: models and databases, loaded once, and the databases of what visitors brought."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from app import own, zerogpu
from app.deployment import Deployment
from app.lender import is_lent
from app.views import Asked
from core import threads
from core.backends import EMBEDDED
from core.backends.complete import prompt_limit
from core.backends.facts import FACTS
from core.backends.protocol import Backend, never
from core.inputs.prompt import PromptLimit
from core.patches.database import PatchDatabase
from core.patches.protocol import Database
from core.types import METHODS, OFF, CodeArray, ConfigError, Grid

Choice = TypeVar("Choice")


class Library:
    """Models and databases, shared by all visitors, and those of their own pictures, which nobody else can reach.

    All models share one codebook; the first model and the first database are what a visitor finds chosen.
    """

    def __init__(self, backends: Mapping[str, Backend], databases: Mapping[str, Database]) -> None:
        self.backends, self.databases, self._turn = backends, databases, threading.Lock()
        self.own = own.Collections(_beside_own(databases))

    @classmethod
    def load(cls) -> Library:
        """What the environment asks for, or all that ships in assets/; ArragError says what is missing."""
        chosen = Deployment.from_environment(os.environ)
        threads.pin(large=not set(chosen.backends) <= set(EMBEDDED))
        return cls(*replace(chosen, source=zerogpu.lent_source(chosen.source)).load())

    # -----------------------------------------------------------------------------------------------------------------
    # What can be chosen

    @property
    def small(self) -> bool:
        """Whether all models are small enough to be loaded by a second process, too: those that ship with us are."""
        return set(self.backends) <= set(EMBEDDED)

    @property
    def is_lent(self) -> bool:
        """Whether a GPU is lent to what its models do: those that ship with us draw on the CPU everywhere."""
        return is_lent() and not self.small

    @property
    def first(self) -> Backend:
        """The model that a visitor finds chosen."""
        return next(iter(self.backends.values()))

    @property
    def prompt_limit(self) -> PromptLimit:
        """The longest prompt that one of its models takes; each says when one is too long for itself."""
        return max((prompt_limit(backend) for backend in self.backends.values()), key=lambda limit: limit.characters)

    @property
    def costs(self) -> Mapping[str, str]:
        """What settings cost with the first model, by their names, as far as that was measured."""
        facts = FACTS.get(self.first.name)
        return {"cfg_scale": facts.guidance} if facts else {}

    @property
    def grid(self) -> Grid:
        """How many rows and columns of codes a picture has."""
        return self.first.grid

    @property
    def styles(self) -> tuple[str, ...]:
        """Art styles that databases can be filtered by."""
        return tuple(sorted({style for database in self.databases.values() for style in database.styles}))

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods that everybody can choose."""
        return self._methods_over(self.databases)

    def methods_of(self, visitor: str) -> tuple[str, ...]:
        """Methods that a visitor can choose, who may have brought the only database that there is."""
        return self._methods_over(self.databases_of(visitor))

    def _methods_over(self, databases: Mapping[str, Database]) -> tuple[str, ...]:
        """Those with retrieval only when there is a database, those with blenders only when a model has some."""
        if not databases:
            return ("model",)
        blenders = any(backend.faid for backend in self.backends.values())
        return tuple(name for name, method in METHODS.items() if blenders or not method.blends)

    def has_blenders(self, model: str) -> bool:
        """Whether a model has what FAiD needs."""
        return model in self.backends and self.backends[model].faid is not None

    def choices(self, visitor: str) -> dict[str, tuple[str, ...]]:
        """What a visitor can choose from, by the name of what they choose."""
        databases = tuple(self.databases_of(visitor))
        methods = self.methods_of(visitor)
        return {"model": tuple(self.backends), "database": databases, "method": methods, "styles": self.styles}

    @property
    def start(self) -> Asked:
        """What a visitor finds chosen: the first model and database, and the model's settings as far as both allow."""
        name, database = next(iter(self.databases.items()), ("", None))
        model, backend = next(iter(self.backends.items()))
        settings = backend.defaults if database else replace(backend.defaults, method="model")
        refused = database.unsupported_settings if database else {}
        nothing = {field: OFF[field] for field in refused}
        return Asked(model, name, replace(settings, **nothing))

    # -----------------------------------------------------------------------------------------------------------------
    # What was chosen

    def backend(self, name: str) -> Backend:
        """The model of that name; ConfigError when there is none."""
        return _one_of(self.backends, "model", name)

    def databases_of(self, visitor: str) -> Mapping[str, Database]:
        """What a visitor can choose from: the databases of all, then those of the pictures that they brought."""
        return own.Reached(self.databases, self.own, visitor)

    def database_of(self, visitor: str, asked: Asked) -> Database:
        """The database of a request, without the image that may not be retrieved from; ConfigError without one."""
        return self.database(asked, self.own.databases(visitor))

    def database(self, asked: Asked, theirs: Mapping[str, Database]) -> Database:
        """`database_of` for a visitor of whom nothing is known but `theirs`: the databases of their own pictures."""
        if asked.database in (own.YOURS, own.BOTH) and asked.database not in theirs:
            raise ConfigError("database: your pictures are not here any more; bring them again, or choose another one")
        chosen = theirs if asked.database in theirs else self.databases
        database = _one_of(chosen, "database", asked.database)
        if asked.without < 0:
            return database
        return database.subset(database.images[database.images != asked.without])

    def theirs(self, visitor: str, asked: Sequence[Asked]) -> dict[str, PatchDatabase]:
        """Those databases of a visitor's own pictures that some requests ask."""
        wanted = {one.database for one in asked}
        found = {name: self.own.database(visitor, name) for name in self.own.names(visitor) if name in wanted}
        return {name: database for name, database in found.items() if database is not None}

    # -----------------------------------------------------------------------------------------------------------------
    # What visitors bring

    def bring(
        self,
        visitor: str,
        paths: Sequence[Path],
        stopped: Callable[[], bool] = never,
        held: AbstractContextManager[object] | None = None,
    ) -> Iterator[own.Progress | own.Brought]:
        """Encode a visitor's pictures into a database of their own: progress, then what came of it.

        Who brings many takes turns with the others.

        stopped: asked between slices of the work, which the visitor may end, or who comes after; held: holds the files,
        and is left when all are read. Raises ConfigError when none of the files can be taken, Stopped at an end.
        """
        backend, turn = self.first, self.own.begin(visitor)

        def over() -> bool:
            return turn.over or stopped()

        with held or nullcontext():
            found = None
            for read in own.in_turns(own.read_pictures(paths, backend.pixels, over), self._turn):
                if isinstance(read, own.Progress):
                    yield read
                else:
                    found = read
        if found is None:
            return
        for encoded in own.in_turns(own.encode(backend, found.images, over), self._turn):
            if isinstance(encoded, own.Progress):
                yield encoded
            else:
                self.own.keep(turn, own.database_of(backend, found, encoded))
        yield found

    def codes_of(self, model: str, image: Path) -> CodeArray:
        """Token grid [H, W] of an image file that a visitor brought; ConfigError for what is none."""
        backend = self.backend(model)
        codes: CodeArray = backend.encode_images(own.read_picture(image, backend.pixels)[None])[0]
        return codes


def _beside_own(databases: Mapping[str, Database]) -> PatchDatabase | None:
    """What visitors may look up beside their own pictures: the embedded pictures, else the first database in memory."""
    held = {name: database for name, database in databases.items() if isinstance(database, PatchDatabase)}
    return held.get("emoji") or next(iter(held.values()), None)


def _one_of(choices: Mapping[str, Choice], kind: str, name: str) -> Choice:
    """What a visitor chose by name; ConfigError when there is no such thing."""
    if name not in choices:
        raise ConfigError(f"{kind}: got {name!r}, expected one of {', '.join(choices) or 'none'}")
    return choices[name]

"""What there is to draw with: models and databases, loaded once, and the databases of what visitors brought."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from app import own, zerogpu
from app.deployment import Deployment
from app.views import Asked
from core import threads
from core.backends.protocol import Backend
from core.patches.database import PatchDatabase
from core.patches.protocol import Database
from core.types import METHODS, CodeArray, ConfigError, Grid

Choice = TypeVar("Choice")


class Library:
    """Models and databases, shared by all visitors, and those of their own pictures, which nobody else can reach.

    All models share one codebook; the first model and the first database are what a visitor finds chosen.
    """

    def __init__(self, backends: Mapping[str, Backend], databases: Mapping[str, Database]) -> None:
        self.backends, self.databases = backends, databases
        self.own = own.Collections()

    @classmethod
    def load(cls) -> Library:
        """What the environment asks for, or all that ships in assets/; ArragError says what is missing."""
        threads.pin()
        return cls(*Deployment.from_environment(os.environ, zerogpu.pixels_device()).load())

    # -----------------------------------------------------------------------------------------------------------------
    # What can be chosen

    @property
    def first(self) -> Backend:
        """The model that a visitor finds chosen."""
        return next(iter(self.backends.values()))

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
        nothing = {field: type(getattr(settings, field))() for field in refused}
        return Asked(model, name, replace(settings, **nothing))

    # -----------------------------------------------------------------------------------------------------------------
    # What was chosen

    def backend(self, name: str) -> Backend:
        """The model of that name; ConfigError when there is none."""
        return _one_of(self.backends, "model", name)

    def databases_of(self, visitor: str) -> dict[str, Database]:
        """What a visitor can choose from: the databases of all, then those of the pictures that they brought."""
        return {**self.databases, **self.own.databases(visitor)}

    def database_of(self, visitor: str, asked: Asked) -> Database:
        """The database of a request, without the image that may not be retrieved from; ConfigError without one."""
        return self.database(asked, self.own.databases(visitor))

    def database(self, asked: Asked, theirs: Mapping[str, PatchDatabase]) -> Database:
        """`database_of` for a visitor of whom nothing is known but `theirs`: the databases of their own pictures."""
        if asked.database in (own.YOURS, own.BOTH) and asked.database not in theirs:
            raise ConfigError("database: your pictures are not here any more; bring them again, or choose another one")
        database = _one_of({**self.databases, **theirs}, "database", asked.database)
        if asked.without < 0:
            return database
        return database.subset(database.images[database.images != asked.without])

    def theirs(self, visitor: str, asked: Sequence[Asked]) -> dict[str, PatchDatabase]:
        """Those databases of a visitor's own pictures that some requests ask."""
        wanted = {one.database for one in asked}
        return {name: found for name, found in self.own.databases(visitor).items() if name in wanted}

    # -----------------------------------------------------------------------------------------------------------------
    # What visitors bring

    def bring(self, visitor: str, paths: Sequence[Path]) -> Iterator[own.Progress | own.Brought]:
        """Encode a visitor's pictures into databases of their own: progress, then what came of it.

        Raises ConfigError when none of the files can be taken.
        """
        backend = self.first
        for read in own.read_pictures(paths, backend.pixels):
            if isinstance(read, own.Progress):
                yield read
                continue
            for encoded in own.encode(backend, read.images):
                if isinstance(encoded, own.Progress):
                    yield encoded
                    continue
                first = next(iter(self.databases.values()), None)
                embedded = first if isinstance(first, PatchDatabase) else None
                self.own.keep(visitor, own.databases_of(backend, read, encoded, embedded))
            yield read

    def codes_of(self, model: str, image: Path) -> CodeArray:
        """Token grid [H, W] of an image file that a visitor brought; ConfigError for what is none."""
        backend = self.backend(model)
        codes: CodeArray = backend.encode_images(own.read_picture(image, backend.pixels)[None])[0]
        return codes


def _one_of(choices: Mapping[str, Choice], kind: str, name: str) -> Choice:
    """What a visitor chose by name; ConfigError when there is no such thing."""
    if name not in choices:
        raise ConfigError(f"{kind}: got {name!r}, expected one of {', '.join(choices) or 'none'}")
    return choices[name]

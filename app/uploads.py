"""What visitors upload: within bounds, each upload in a folder of its own, which goes as soon as it has been read."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import gradio as gr
from gradio.data_classes import ListFiles
from gradio.route_utils import upload_fn
from gradio.routes import file_upload_statuses
from gradio.utils import get_upload_folder
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from core.types import ConfigError

MAX_BYTES: Final = 256 * 2**20
"""Of one upload, which may be many files."""

BYTES_WAITING, MOST_WAITING = 1024 * 2**20, 256
"""Of all uploads that nobody has read yet, and how many they may be: so much of the disk can be filled."""

OF_ADDRESS: Final = 4
"""Uploads of one address may be this part of it, so that who sends without end leaves room for the others."""

SECONDS_TO_COME: Final = 600.0
SECONDS_SPARED, SECONDS_WAITING = 60.0, 900.0
"""How long an upload may take; for how long it is safe from others that need its room; and when it goes unread."""

SECONDS_LEFT_BEHIND: Final = 3600.0
"""From when on a folder is taken for one that a killed server has left."""

PLACE: Final = "uploads"


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload that is under way, or waits to be read: its folder, its size, from where it came, and since when it is
    whole."""

    folder: Path
    nbytes: int
    address: str = ""
    whole: float | None = None


class Uploads:
    """All uploads that have not been read."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._waiting: dict[Path, Upload] = {}
        self._clock, self._lock = clock, threading.Lock()

    @property
    def place(self) -> Path:
        """Where the folders of uploads are: in Gradio's own folder, of which it takes files only."""
        return Path(get_upload_folder()).resolve() / PLACE

    def begin(self, nbytes: int, address: str = "") -> Upload:
        """Make room for an upload from an address; ConfigError when it is too large, or when there is none."""
        if nbytes > MAX_BYTES:
            got = f"upload: got {nbytes >> 20} MB, expected at most {MAX_BYTES >> 20}"
            raise ConfigError(f"{got} at once; choose fewer files, or smaller ones")
        with self._lock:
            self._drop_if(lambda upload: self._is_over(upload, SECONDS_WAITING))
            if address:
                self._make_room(nbytes, OF_ADDRESS, lambda one: one.address == address, "yours")
            self._make_room(nbytes, 1, lambda one: True, "others")
            upload = Upload(self.place / secrets.token_hex(16), nbytes, address)
            self._waiting[upload.folder] = upload
            return upload

    def _make_room(self, nbytes: int, part: int, among: Callable[[Upload], bool], whose: str) -> None:
        """Drop the oldest of some uploads that may go until one more fits into a part of the room."""
        while not _fit(found := list(filter(among, self._waiting.values())), nbytes, part):
            spared = [one for one in found if self._is_over(one, SECONDS_SPARED)]
            if not spared:
                raise ConfigError(f"upload: too many files of {whose} are waiting here now; try again in a minute")
            self._drop(spared[0])

    def _is_over(self, upload: Upload, seconds: float) -> bool:
        return upload.whole is not None and self._clock() - upload.whole >= seconds

    def whole(self, upload: Upload) -> None:
        """All of an upload is there, and waits to be read."""
        with self._lock:
            self._waiting[upload.folder] = replace(upload, whole=self._clock())

    def drop(self, upload: Upload) -> None:
        """Remove an upload and all of its files."""
        with self._lock:
            self._drop(upload)

    def _drop(self, upload: Upload) -> None:
        self._waiting.pop(upload.folder, None)
        shutil.rmtree(upload.folder, ignore_errors=True)

    def _drop_if(self, wanted: Callable[[Upload], bool]) -> None:
        for upload in [upload for upload in self._waiting.values() if wanted(upload)]:
            self._drop(upload)

    @contextmanager
    def read(self, chosen: str | Sequence[str] | None) -> Iterator[list[Path]]:
        """The files of a visitor's choice, to be read inside of the context; after it they are gone, whatever happened.

        What is no upload, or was read before, is left out.
        """
        names = [chosen] if isinstance(chosen, str) else chosen or []
        paths = [Path(name) for name in names]
        with self._lock:
            found = {path: self._of(path) for path in paths}
        try:
            yield [path for path in paths if found[path] is not None]
        finally:
            for upload in {upload for upload in found.values() if upload is not None}:
                self.drop(upload)

    def _of(self, path: Path) -> Upload | None:
        """The upload that a file is of; None for a path that leads elsewhere."""
        if ".." in path.parts:
            return None
        return next((self._waiting[folder] for folder in path.parents if folder in self._waiting), None)

    def holds(self, path: str) -> bool:
        """Whether a path is that of a file which waits to be read."""
        with self._lock:
            return self._of(Path(path)) is not None

    def sweep(self) -> None:
        """Remove what nobody has read in time, and what servers that were killed have left behind."""
        with self._lock:
            self._drop_if(lambda upload: self._is_over(upload, SECONDS_WAITING))
            strange = [folder for folder in _folders(self.place) if folder not in self._waiting]
        for folder in strange:
            if time.time() - _changed(folder) > SECONDS_LEFT_BEHIND:
                shutil.rmtree(folder, ignore_errors=True)

    def clear(self) -> None:
        """Remove all uploads: the server ends."""
        with self._lock:
            self._drop_if(lambda upload: True)


def _fit(waiting: Collection[Upload], nbytes: int, part: int = 1) -> bool:
    """Whether one more fits beside some uploads into a part of what all of them may be."""
    room = BYTES_WAITING // part - sum(upload.nbytes for upload in waiting)
    return len(waiting) < MOST_WAITING // part and nbytes <= room


def _folders(place: Path) -> list[Path]:
    try:
        return [folder for folder in place.iterdir() if folder.is_dir()]
    except OSError:
        return []


def _changed(folder: Path) -> float:
    """When a folder was changed last; now, if it is gone meanwhile."""
    try:
        return folder.stat().st_mtime
    except OSError:
        return time.time()


def route(uploads: Uploads) -> Route:
    """The route that takes uploads, in the place of Gradio's own, which has no bound on all of them together."""

    async def take(request: Request) -> Response:
        declared = request.headers.get("content-length", "")
        if not declared.isdecimal():
            return PlainTextResponse("upload: expected a Content-Length", status_code=411)
        try:
            upload = uploads.begin(int(declared), request.client.host if request.client else "")
        except ConfigError as error:
            return PlainTextResponse(str(error), status_code=413 if int(declared) > MAX_BYTES else 429)
        paths = None
        try:
            paths = await asyncio.wait_for(_received(request, upload.folder), SECONDS_TO_COME)
        except MultiPartException as error:
            return PlainTextResponse(error.message, status_code=413 if "maximum allowed" in error.message else 400)
        except HTTPException as error:
            return PlainTextResponse(str(error.detail), status_code=error.status_code)
        except (asyncio.TimeoutError, ClientDisconnect):
            return PlainTextResponse("upload: it was cut off, or took too long; try again", status_code=408)
        except OSError:
            return PlainTextResponse("upload: this server has no room for files now; tell its owner", status_code=507)
        finally:
            if paths:
                uploads.whole(upload)
            else:
                uploads.drop(upload)
        return JSONResponse(paths)

    return Route("/gradio_api/upload", take, methods=["POST"])


async def _received(request: Request, folder: Path) -> list[str]:
    """The paths of an upload's files in a folder, each of at most as many bytes as the page allows."""
    most = request.app.get_blocks().max_file_size
    upload_id = request.query_params.get("upload_id")
    progress = file_upload_statuses if upload_id else None
    paths, _, _ = await upload_fn(request, str(folder), most, upload_id, upload_progress=progress)
    return [str(path) for path in paths]


class FileButton(gr.UploadButton):
    """Gradio's button, without the empty file that it leaves behind for each upload; it gives paths, None without.

    It has no file_types, which go by the name: what a file is, its content says.
    """

    is_template = True  # so that Gradio takes its own script for it

    def preprocess(self, payload: Any) -> str | list[str] | None:
        """The paths of the files."""
        if payload is None:
            return None
        if isinstance(payload, ListFiles):
            return [file.path for file in payload]
        return str(payload.path)

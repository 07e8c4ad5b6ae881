"""The folder of the gallery: its runs as files, what lists them, the page itself, and what a static Space needs."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from app import packing, pictures
from app.gallery import page
from app.gallery.studio import Shelf, Studio
from app.gallery.table import Beside, Run, Section, Swept, all_runs
from app.pictures import RGB
from app.plans import sweep_plan
from app.stage.recording import FILE as STAGE_FILE
from app.views import METHOD_NAMES, Asked, called
from core import assets
from core.types import ConfigError

CODE: Final = (Path(__file__).parents[1], Path(assets.__file__).parent)
"""What draws and shows: the page, and the engine."""

LARGEST: Final = 10_000_000
LARGEST_OF_ALL: Final = 30_000_000
"""Bytes of one file, and of the folder: what hosts take of plain files, and what a visitor should not have to."""

CARD_FIELDS: Final = ("changed", "looked_up", "steps", "share")
ROOMS: Final = ("runs", "pictures", "atlases", "sheets")
LIST: Final = "gallery.json"

Said = dict[str, Any]
Tell = Callable[[str], None]


def fingerprint() -> str:
    """Of all that decides what a run looks like: code and files that ship."""
    digest = hashlib.sha256()
    code = {file for room in CODE for file in room.rglob("*.py")}
    for file in sorted([*code, *(file for file in assets.ASSETS.rglob("*") if file.is_file())]):
        digest.update(f"{file.name} {file.stat().st_size} ".encode() + file.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Files:
    """The files of the runs; what is there already, from the same code and files, is not drawn again.

    version: fingerprint of what decides how runs look; a file's name has what was drawn by what in it.
    """

    folder: Path
    studio: Studio
    version: str
    parents: dict[str, Run]
    tell: Tell

    @cached_property
    def used(self) -> set[Path]:
        """The files that this gallery is made of; others of former ones go in the end."""
        return set()

    def put(self, room: str, name: str, made_of: object, suffix: str, make: Callable[[], bytes]) -> str:
        """The address of a file, which is made if it is not there; made_of: what decides its content."""
        digest = hashlib.sha256(f"{self.version} {made_of!r}".encode()).hexdigest()[:10]
        file = self.folder / room / f"{name}-{digest}{suffix}"
        if not file.exists():
            self.tell(file.name)
            write(file, make())
        self.used.add(file)
        return file.relative_to(self.folder).as_posix()

    def run(self, run: Run) -> Said:
        """What the page is told of a run: where its files are, and its figures, which all come from its trace."""
        parent = self.parents.get(run.parent)
        file = self.put("runs", run.name, (run, parent), ".bin", lambda: self.studio.pack(run, parent))
        packed = (self.folder / file).read_bytes()
        model, database = run.asked.model, run.asked.database
        atlas = self.put("atlases", database, (model, database), ".webp", lambda: self.studio.atlas(model, database))
        picture = self.put("pictures", run.name, file, ".webp", lambda: packing.blob_of(packed, "picture"))
        return {"name": run.name, "say": run.say, "prompt": run.prompt, "file": file, "atlas": atlas,
                "picture": picture, "parent": run.parent, **figures(run.asked, packed)}  # fmt: skip

    def swept(self, sweep: Swept) -> tuple[Said, list[Said]]:
        """A table of runs, and what is told of each of them."""
        plan = sweep_plan(sweep.asked, *sweep.across, *sweep.down)
        runs = [Run(f"{sweep.name}-{i + 1}", sweep.say, sweep.prompt, asked) for i, asked in enumerate(plan.asked)]
        told = [self.run(run) for run in runs]
        for i, one in enumerate(told):
            one["say"] = f"{plan.across[i % len(plan.across)]}, {plan.down[i // len(plan.across)]}"
        packed = [(self.folder / one["file"]).read_bytes() for one in told]
        codes = [packing.array_of(one, "code") for one in packed]
        drawn = np.stack([pictures.decoded(packing.blob_of(one, "picture")) for one in packed])
        sheet = pictures.encoded(pictures.table_of(drawn, len(plan.across)))
        file = self.put("sheets", sweep.name, [one["file"] for one in told], ".json", lambda: said({
            "prompt": sweep.prompt, "across": plan.across, "down": plan.down, "ids": [run.name for run in runs],
            "counts": [len(one) for one in codes],
            "changed": [int((one != codes[0]).sum()) for one in codes], **grid_of(packed[0]),
            "picture": base64.b64encode(sheet).decode(),
        }))  # fmt: skip
        return {"name": sweep.name, "say": sweep.say, "title": sweep.prompt, "file": file,
                "pictures": [one["picture"] for one in told[:9]]}, told  # fmt: skip

    def tidy(self) -> None:
        """Remove files of runs that are not in the gallery any more."""
        for room in ROOMS:
            for file in (self.folder / room).glob("*"):
                if file not in self.used:
                    file.unlink()


def figures(asked: Asked, packed: bytes) -> Said:
    """The figures of a run's card, from its trace.

    changed: drawn patches that look-ups changed, null where that was not recorded; chance: how likely the codes that
    were taken were, on the geometric mean, when each was drawn; copied: share of the looked-up positions in regions
    that stand in one source like that.
    """
    header, surprise = packing.header_of(packed), packing.array_of(packed, "surprise")
    settings, copying = asked.settings, header["provenance"]["copying"]
    return {
        "method": METHOD_NAMES[settings.method],
        "model": called(asked.model),
        "database": called(asked.database) if settings.retrieves else "",
        "seed": settings.seed,
        **{name: header["summary"][name] for name in CARD_FIELDS},
        "positions": header["grid"]["height"] * header["grid"]["width"],
        "copied": round(copying["share"], 3),
        "chance": round(float(np.exp(-surprise.reshape(-1, 2)[:, 1].mean())), 3),
        "inside": "inside" in header,
        "bytes": len(packed),
    }


def grid_of(packed: bytes) -> Said:
    """How many steps, rows and columns a run has."""
    header = packing.header_of(packed)
    return {"steps": header["steps"], **header["grid"]}


def build(
    folder: Path, shelf: Shelf, sections: Sequence[Section], space: page.Space, version: str, tell: Tell
) -> int:  # fmt: skip
    """Write the gallery; returns its size in bytes. What is there of the same code and files stays as it is.

    Raises ConfigError for a gallery that is too large to be served well.
    """
    runs = {run.name: run for run in all_runs(tuple(sections))}
    files = Files(folder, Studio(shelf), version, runs, tell)
    listed: list[Said] = []
    hidden: list[Said] = []
    for section in sections:
        swept = [files.swept(sweep) for sweep in section.swept]
        hidden += [one for _, told in swept for one in told]
        cards = [files.run(run) for run in section.runs]
        listed.append(
            {"title": section.title, "text": section.text, "runs": cards, "sweeps": [one for one, _ in swept]}
        )
    known = {card["name"]: card for section in listed for card in section["runs"]}
    for section, told in zip(sections, listed, strict=True):
        told["beside"] = [_beside(one, known) for one in section.beside]
    write(folder / LIST, said({"sections": listed, "hidden": hidden, "live": space.live}))
    write(folder / "stage.json", STAGE_FILE.read_bytes())
    for name, content in page.files(space, _thumbnail(folder, known)).items():
        write(folder / name, content)
    files.tidy()
    return check_size(folder)


def _beside(one: Beside, known: dict[str, Said]) -> Said:
    """What the page is told of runs beside each other."""
    runs = [{"name": name, "label": label} for name, label in one.runs]
    pictured = [known[name]["picture"] for name, _ in one.runs]
    return {**asdict(one), "runs": runs, "pictures": pictured}


def _thumbnail(folder: Path, known: dict[str, Said]) -> RGB:
    """Some of the pictures, as other sites show the gallery: [2 rows, 4 columns]."""
    chosen = list(known.values())[:8]
    tiles = np.stack([pictures.decoded((folder / card["picture"]).read_bytes()) for card in chosen])
    return pictures.table_of(tiles, 4)


def check_size(folder: Path) -> int:
    """Bytes of all files; ConfigError where one of them, or all together, are too large."""
    sizes = {file: file.stat().st_size for file in contents(folder)}
    file, most = max(sizes.items(), key=lambda pair: pair[1])
    if most > LARGEST:
        raise ConfigError(f"{file.name}: got {most} bytes, expected {LARGEST} at most; record fewer or smaller runs")
    if (total := sum(sizes.values())) > LARGEST_OF_ALL:
        raise ConfigError(f"gallery: got {total} bytes, expected {LARGEST_OF_ALL} at most; record fewer runs")
    return total


def contents(folder: Path) -> Iterator[Path]:
    """The files of the gallery; what git keeps beside them is none of it."""
    return (file for file in folder.rglob("*") if file.is_file() and ".git" not in file.relative_to(folder).parts)


def said(value: Said) -> bytes:
    """JSON for the page."""
    return (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def write(file: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(content)
    os.replace(part, file)

"""Send a database to the hub."""

from __future__ import annotations

import argparse
import io
import json
from dataclasses import asdict

from tqdm import tqdm

from ....analysis.card import SHEET, card, licence_of
from ....analysis.stats import stats_of
from ....contact_sheet import contact_sheet
from ....patches.hub.names import repository
from ....patches.hub.push import push
from ....patches.tending.contents import Holding
from ....types import ConfigError
from .opening import opened, place_of
from .sample import drawn
from .showing import own_pictures

SHOWN = 48


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.databases.push` for what is chosen."""
    to = repository(chosen.repository)
    if chosen.database == "seen":
        raise ConfigError("database: got 'seen', which is a part of emoji; push emoji, or a folder")
    database = opened(chosen.database, chosen)
    extra = {} if chosen.keep_card else _described(database, chosen, to.name)
    done = push(place_of(chosen.database), extra, to, chosen.private, lambda p: tqdm(p, unit="file", desc="push"))
    print(json.dumps(asdict(done)))
    return 0


def _described(database: Holding, chosen: argparse.Namespace, name: str) -> dict[str, bytes]:
    """The card of a database and the contact sheet that it shows, by their names."""
    stats = stats_of(database, place_of(chosen.database), lambda p: tqdm(p, unit="block", desc="count", leave=False))
    licences = (chosen.licence,) if chosen.licence else licence_of(stats.licences)
    model = "" if chosen.backend == "emoji" else chosen.backend
    sheet = _sheet(database) if stats.pictures else b""
    text = card(name, stats, licences, model, bool(sheet))
    return {"README.md": text.encode(), **({SHEET: sheet} if sheet else {})}


def _sheet(database: Holding) -> bytes:
    """Some images, drawn evenly at random, as one picture."""
    images = drawn(database, SHOWN, seed=0)
    captions = [database.image_info(image).caption for image in images]
    file = io.BytesIO()
    contact_sheet(zip(captions, own_pictures(database, images), strict=True)).save(file, "WEBP", quality=85)
    return file.getvalue()

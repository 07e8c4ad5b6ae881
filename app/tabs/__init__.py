"""The tabs below the stepper: one folder each, which is all that there is of a tab.

To add one, make a folder here whose `__init__.py` declares it:

    TAB = Tab(
        folder=Path(__file__).parent,
        label="Palette",                    # what it is called
        key="0",                            # the digit that opens it, in whose order tabs stand
        tip="The colours of this picture",  # what its tab says under the pointer
        build=build,                        # lays it out and wires its events, from the parts of the page
        tips={"#palette-draw": "Draw it"},  # by selector: what its controls are
    )

Its scripts (modules, which import what they share from ../../client and ../../stepper) and its style sheets lie in the
folder, and all of them are served. A component over a script is a `Scripted` (app/scripted.py). Nothing else names a
tab: the page, the keys and their list, tooltips and style sheet follow from what is found here.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from itertools import pairwise
from pathlib import Path

from app.tabs.tab import KEYS, Tab
from core.types import ConfigError

FOLDER = Path(__file__).parent


def found(folder: Path = FOLDER, package: str = __name__) -> tuple[Tab, ...]:
    """The tabs that folders of a package declare, in the order of their keys.

    Raises ConfigError for a folder that declares none, and for two with one key.
    """
    names = [module.name for module in pkgutil.iter_modules([str(folder)]) if module.ispkg]
    tabs = {name: getattr(import_module(f"{package}.{name}"), "TAB", None) for name in names}
    for name, tab in tabs.items():
        if tab is None:
            raise ConfigError(f"tab: got {name!r} without TAB, expected its declaration; see app/tabs/__init__.py")
    ordered = sorted(
        (tab for tab in tabs.values() if tab is not None), key=lambda tab: (KEYS.index(tab.key), tab.label)
    )
    for one, other in pairwise(ordered):
        if one.key == other.key != "":
            raise ConfigError(f"tab: got key {one.key!r} for {one.label!r} and {other.label!r}, expected one each")
    return tuple(ordered)

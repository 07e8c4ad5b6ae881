"""Where the files are that the project ships: models, databases, names, recorded runs.

They stand beside the code: in `assets/` of a checkout, or inside the installed package. ARRAG_ASSETS names another
folder with the same content.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from .types import ConfigError

VARIABLE: Final = "ARRAG_ASSETS"
HERE: Final = Path(__file__).resolve().parent


def find_assets(environment: Mapping[str, str], package: Path = HERE) -> Path:
    """The folder of the shipped files; ConfigError when ARRAG_ASSETS names something else.

    package: the folder of this package.
    """
    named = environment.get(VARIABLE, "").strip()
    if named:
        folder = Path(named).expanduser()
        if not (folder / "models").is_dir():
            raise ConfigError(f"{VARIABLE}: got {named!r:.200}, expected a folder that holds models/ and databases/")
        return folder.resolve()
    inside = package / "assets"
    return inside if inside.is_dir() else package.parent / "assets"


ASSETS: Final = find_assets(os.environ)


@cache
def licences() -> Mapping[str, str]:
    """Licence and author of each collection that ships, by the source that its images name: of assets/LICENSES.md."""
    path = ASSETS / "LICENSES.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    rows = re.findall(r"^\|[^|]*\| `([^`|]+)` ([^ |]+)[^|]*\| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    return {f"{name} {version}": f"{licence}, {author}" for name, version, licence, author in rows}

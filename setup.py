"""How a checkout becomes the package `arrag`: core/ is the package itself, app/ and assets/ go inside it.

In a checkout the page says `from core.types import ...`, which Spaces and `python app.py` need. `core` is no name for
other people's site-packages, so the build turns these lines into relative imports.
"""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


def relative(text: str, package: str) -> str:
    """Source of a module of a package such as arrag.app.tabs, with imports of core and app relative to arrag."""
    dots = "." * (package.count(".") + 1)
    for absolute, there in (("core.", dots), ("core ", f"{dots} "), ("app.", f"{dots}app."), ("app ", f"{dots}app ")):
        text = re.sub(rf"^(\s*)from {re.escape(absolute)}", rf"\1from {there}", text, flags=re.MULTILINE)
    return text


class Build(build_py):
    """Copies modules, those of the page with relative imports."""

    def build_module(self, module: str, module_file: str, package: str) -> tuple[str, bool]:
        """As setuptools has it."""
        copied: tuple[str, bool] = super().build_module(module, module_file, package)
        if package.split(".")[:2] == ["arrag", "app"]:
            place = Path(copied[0])
            place.write_text(relative(place.read_text(encoding="utf-8"), package), encoding="utf-8")
        return copied


if __name__ == "__main__":
    setup(
        packages=[
            "arrag",
            *(f"arrag.{name}" for name in find_packages("core")),
            "arrag.app",
            *(f"arrag.app.{name}" for name in find_packages("app")),
            "arrag.assets",
        ],
        package_dir={"arrag": "core", "arrag.app": "app", "arrag.assets": "assets"},
        package_data={
            "arrag": ["py.typed", "**/*.txt"],
            "arrag.app": ["**/*.html", "**/*.css", "**/*.js", "*.html", "*.css", "*.js"],
            "arrag.assets": ["**/*", "*"],
        },
        cmdclass={"build_py": Build},
    )

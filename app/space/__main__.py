"""Write a folder that can be pushed to a Gradio Space as it is: the page with what it needs, and nothing else."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from app.gallery.__main__ import space_name
from app.space.card import HARDWARE, REPOSITORIES, Card
from core.inputs.arguments import program


def main() -> None:
    """`python -m app.space FOLDER`."""
    raise SystemExit(program(__doc__, add_arguments, run))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("folder", type=Path, help="where to write; a former Space there is replaced, but for its .git")
    parser.add_argument("--space", type=space_name, default="", help="OWNER/NAME of the Space that it is for")
    parser.add_argument("--model", choices=sorted(REPOSITORIES), default="embedded", help="what it draws with")
    parser.add_argument("--hardware", choices=sorted(HARDWARE), default="zero", help="ZeroGPU, or CPUs alone")


def run(chosen: argparse.Namespace) -> int:
    """Write the folder."""
    from app.space.folder import build  # noqa: PLC0415  (Gradio loads for seconds: after what can fail)

    size = build(chosen.folder, Card(chosen.model, chosen.hardware, chosen.space))
    sys.stdout.write(f"{chosen.folder}: {size / 1e6:.1f} MB\n")
    if not chosen.space:
        sys.stdout.write("The Space's card has no thumbnail: say --space OWNER/NAME, which its address needs.\n")
    return 0


if __name__ == "__main__":
    main()

"""`python -m core.evaluation ...` is `python -m core evaluate ...`."""

from __future__ import annotations

import sys

from ..__main__ import main

if __name__ == "__main__":
    raise SystemExit(main(["evaluate", *sys.argv[1:]]))

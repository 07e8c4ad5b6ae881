"""Without a browser there is nothing to stand before a proxy."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright", reason="no browser tests: playwright is not installed (requirements-dev.txt)")

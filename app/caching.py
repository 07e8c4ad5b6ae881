"""Files that the page offers, in Gradio's cache."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from gradio.processing_utils import hash_bytes


def cached_file(data: bytes, name: str, cache: str) -> str:
    """Path of a file with this content; its folder is named by a hash of the content, so that nobody can guess it.

    Gradio's own save_bytes_to_cache writes the file again although it is there: whoever is just fetching it, such as
    another visitor who gets the same atlas, finds it cut off. Here it appears whole, once.
    """
    path = Path(cache).resolve() / hash_bytes(data) / Path(name).name
    if path.exists():
        os.utime(path)  # as new, for whatever clears the cache by age
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{uuid.uuid4().hex}.partial")
        partial.write_bytes(data)
        partial.replace(path)
    return str(path)

"""Make a database of your own pictures and draw from it: python own_pictures.py FOLDER."""

import sys
from pathlib import Path

from arrag import DecodeSettings, generate, load_backend, open_database
from arrag.patches.building.build import build_database
from arrag.picture_file import about, picture_of, save

backend = load_backend("emoji")
report = build_database(backend, sys.argv[1], Path("pictures"))  # goes on where it was, if it was interrupted
print("\n".join(report.lines()))

database = open_database("pictures", backend)
settings = DecodeSettings(seed=1, retrieval_weight=0.5, caption_filter=0)  # all of them, whatever their captions
trace = generate(backend, database, "a small house", settings)
save(picture_of(backend, trace), Path("house.png"), about(trace, "pictures"))

used = {source.caption for source in trace.sources.values()}
print(f"{len(database.images)} pictures, {len(database)} patches; retrieval changed {len(trace.flips())} codes")
print("looked at:", ", ".join(sorted(used)))

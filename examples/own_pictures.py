"""Make a database of your own pictures and draw from it: python own_pictures.py FOLDER."""

import sys
from pathlib import Path

from arrag import Context, DecodeSettings, PatchDatabase, generate, load_backend
from arrag.patches.build import collect
from arrag.picture_file import about, picture_of, save

backend = load_backend("emoji")
made = collect(backend, Path(sys.argv[1]), Context())  # captions: NAME.txt beside NAME.png, or else the name itself
made.save(Path("pictures"))

database = PatchDatabase.load(Path("pictures"), backend.codebook)
settings = DecodeSettings(seed=1, retrieval_weight=0.5, caption_filter=0)  # all of them, whatever their captions
trace = generate(backend, database, "a small house", settings)
save(picture_of(backend, trace), Path("house.png"), about(trace, "pictures"))

used = {source.caption for source in trace.sources.values()}
print(f"{len(database.images)} pictures, {len(database)} patches; retrieval changed {len(trace.flips())} codes")
print("looked at:", ", ".join(sorted(used)))

"""Draw a picture and step through it: what was looked up, from where, and which codes that changed."""

from pathlib import Path

from arrag import DecodeSettings, generate, load_backend, open_database
from arrag.picture_file import about, picture_of, save

backend = load_backend("novice")
database = open_database("unseen", backend)
trace = generate(backend, database, "a red heart, flat style", DecodeSettings(seed=2, retrieval_weight=0.6))

flips = trace.flips().tolist()
print(f"{trace.prompt}: {len(trace.steps)} patches, retrieval changed {len(flips)} of them")
for position in flips[:5]:
    here = trace.explain(position)
    images, rows, columns = trace.provenance(position)
    nearest = trace.sources[int(images[0])]
    print(f"  row {position // 16}, column {position % 16}: code {here.taken} instead of {here.without};", end=" ")
    print(f'nearest: row {rows[0]}, column {columns[0]} of "{nearest.caption}", {nearest.style} style')

save(picture_of(backend, trace), Path("heart.png"), about(trace, "unseen"))
trace.save(Path("heart.npz"))

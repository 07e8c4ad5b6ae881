"""A figure for a paper: how sure the model was with retrieval and without, at every position of eight pictures."""

import matplotlib.pyplot as plt
import numpy as np
from arrag import DecodeSettings, Request, Trace, decode_together, load_backend, open_database
from arrag.analysis.metrics import measure

backend = load_backend("novice")
database = open_database("unseen", backend)
requests = [Request(backend, database, "a fox, flat style", DecodeSettings(seed=seed)) for seed in range(8)]
rows = zip(*decode_together(requests), strict=True)  # all pictures in one batch
traces = [Trace.record(backend, database, r.prompt, r.settings, row) for r, row in zip(requests, rows, strict=True)]

entropy = np.mean([measure(trace).entropy for trace in traces], axis=0)
figure, axes = plt.subplots(figsize=(3.3, 2.2), layout="constrained")
for column, label in ((0, "model"), (2, "blended")):
    axes.plot(entropy[:, column].reshape(backend.grid.height, -1).mean(axis=1), label=label)
axes.set(xlabel="row", ylabel="entropy (nats)")
axes.legend(frameon=False)
figure.savefig("entropy.pdf")

"""Small retrieval databases in the format of the paper's authors."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np

from core.codebook import Codebook
from core.context import Context, context_codes, keys, retrieving_positions
from core.patches.released import CODES_FILE, GRIDS_FILE, INDEX_FILE
from core.types import CodeArray, Grid


def write_released(folder: Path, codebook: Codebook, grids: CodeArray) -> Path:
    """The folder, with a database of the token grids [N, H, W] of a few hundred entries at least.

    OPQ, 16 inverted lists, and a product quantizer of 8 x 8 bits over the keys, as the released builder makes it.
    """
    positions = retrieving_positions(Context(), Grid(*grids.shape[1:]))
    vectors = keys(codebook, context_codes(Context(), grids, positions)).reshape(-1, 32)
    faiss.omp_set_num_threads(1)
    inverted = faiss.IndexIVFPQ(faiss.IndexFlatL2(32), 32, 16, 8, 8)
    inverted.cp.min_points_per_centroid = inverted.pq.cp.min_points_per_centroid = 1
    inverted.pq.cp.niter = 5  # good enough, and quick
    rotation = faiss.OPQMatrix(32, 8)
    rotation.niter, rotation.niter_pq, rotation.niter_pq_0, rotation.verbose = 2, 1, 4, False  # so is this
    index = faiss.IndexPreTransform(rotation, inverted)
    index.train(vectors)
    index.add_with_ids(vectors, np.arange(len(vectors)))
    faiss.write_index(index, str(folder / INDEX_FILE))
    np.save(folder / CODES_FILE, grids.reshape(len(grids), -1)[:, positions].reshape(-1).astype(np.int64))
    np.save(folder / GRIDS_FILE, grids)
    return folder

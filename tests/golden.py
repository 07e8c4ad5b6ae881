"""Compare this implementation with vectors made by the released one: `python -m tests.golden DIRECTORY`.

Reads every NAME_KIND.safetensors of the directory (any NAME) and prints one line per file with its largest error. Exits
with 0 when all are within tolerance, 1 when one is not or is damaged, 2 when there is nothing to check.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from core.context import Context, context_codes, keys, retrieving_positions
from core.daid import blend, retrieval_distribution
from core.database import INDEX_KINDS, ImageInfo, PatchDatabase
from core.tokenizer import Codebook
from core.types import ArragError, Grid, Neighbours

TOLERANCE: Final = 1e-5

Array = npt.NDArray[Any]
Tensors = dict[str, Array]


def main(arguments: list[str]) -> int:
    """Check the files of one directory; the exit code."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m tests.golden DIRECTORY")
        return 2
    files = sorted(Path(arguments[0]).glob("*.safetensors"))
    if not files:
        print(f"{arguments[0]}: got no *.safetensors file, expected a directory of golden vectors")
        return 2
    return max([_report(file) for file in files])


def _report(file: Path) -> int:
    """Check one file and print its line; 0 if it agrees or has no check, else 1."""
    check = next((check for kind, check in CHECKS.items() if f"_{kind}" in file.stem), None)
    if check is None:
        print(f"{file.name:45} not yet")
        return 0
    try:
        error = check(load_file(file))
    except KeyError as missing:
        print(f"{file.name:45} DAMAGED  got no tensor {missing}, expected it")
        return 1
    except (SafetensorError, OSError, ValueError, IndexError, TypeError, ArragError) as damage:
        print(f"{file.name:45} DAMAGED  {' '.join(str(damage).split())[:200]}")
        return 1
    agrees = error <= TOLERANCE  # a NaN does not agree
    print(f"{file.name:45} {'ok' if agrees else 'FAILED':7}  largest error {error:.1e}")
    return 0 if agrees else 1


def relative_error(got: Array, expected: Array) -> float:
    """Largest difference relative to the largest expected number; infinite when the shapes differ."""
    if got.shape != expected.shape:
        return float("inf")
    difference = np.abs(got.astype(np.float64) - expected.astype(np.float64)).max(initial=0.0)
    return float(difference / max(np.abs(expected).max(initial=0), 1e-30)) if difference else 0.0


def absolute_error(got: Array, expected: Array) -> float:
    """Largest difference; infinite when the shapes differ."""
    if got.shape != expected.shape:
        return float("inf")
    return float(np.abs(got.astype(np.float64) - expected.astype(np.float64)).max(initial=0.0))


# -- DAiD -------------------------------------------------------------------------------------------------------------


def check_daid(tensors: Tensors) -> float:
    """Largest error of entries, keys, neighbours, retrieval distributions and merged distributions."""
    codebook = Codebook.from_vectors(tensors["db.codebook"])
    grids = tensors["db.grid"]
    errors = [_entry_error(codebook, tensors)]
    for kind in INDEX_KINDS:
        database = PatchDatabase.build(codebook, grids, [ImageInfo("")] * len(grids), Context(), index=kind)
        errors += [_case_error(database, tensors, f"case{case}.") for case in range(int(tensors["meta.cases"]))]
    return float(np.max(errors))  # unlike max(), lets a NaN through


def _entry_error(codebook: Codebook, tensors: Tensors) -> float:
    """Error of the entries' keys; infinite when a value is another one."""
    grids = tensors["db.grid"]
    positions = retrieving_positions(Context(), Grid(*grids.shape[1:]))
    if not np.array_equal(grids.reshape(len(grids), -1)[:, positions].ravel(), tensors["db.next"]):
        return float("inf")
    expected = tensors[next((name for name in tensors if name.startswith("db.keys_first_")), "db.keys_first_image")]
    context = context_codes(Context(), grids[:1], positions)[0, : len(expected)]
    return absolute_error(keys(codebook, context), expected)


def _case_error(database: PatchDatabase, tensors: Tensors, case: str) -> float:
    """Error of one query: what is retrieved, and the distributions at every retrieval temperature."""
    found = database.search(tensors[case + "query_codes"][None], int(tensors[case + "K"]))[0]
    errors = [
        _neighbour_error(found.distances, found.codes, tensors[case + "distances"], tensors[case + "codes"]),
        _neighbour_error(*_nearest(found), tensors[case + "unique_distances"], tensors[case + "unique_codes"]),
    ]
    size, weight = database.codebook.size, float(tensors["meta.lambda"])
    for row, temperature in enumerate(tensors["meta.temperatures"]):
        retrieval = retrieval_distribution(found, size, float(temperature), "nearest")
        merged = blend(tensors[case + "model_probs"][0].astype(np.float64), retrieval, weight)
        errors.append(absolute_error(retrieval, tensors[case + "retrieval_dist"][row]))
        errors.append(absolute_error(merged, tensors[case + "merged"][row]))
    return float(np.max(errors))


def _nearest(found: Neighbours) -> tuple[Array, Array]:
    """Distances and codes of the nearest occurrence of each code, ascending."""
    codes, first = np.unique(found.codes, return_index=True)
    order = np.argsort(first)
    return found.distances[first][order], codes[order]


def _neighbour_error(distances: Array, codes: Array, golden_distances: Array, golden_codes: Array) -> float:
    """Relative error of the distances; infinite when the codes are other ones, up to their order among ties."""
    if codes.shape != golden_codes.shape:
        return float("inf")
    ties = np.cumsum(np.diff(golden_distances, prepend=golden_distances[0]) > TOLERANCE)
    same = np.array_equal(codes[np.lexsort((codes, ties))], golden_codes[np.lexsort((golden_codes, ties))])
    return relative_error(distances, golden_distances) if same else float("inf")


CHECKS: Final[dict[str, Callable[[Tensors], float]]] = {"daid": check_daid}
"""Kind of file (the name after the first part) -> its largest error. Other kinds are reported as not yet checked."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

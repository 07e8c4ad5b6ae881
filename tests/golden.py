"""Compare this implementation with vectors made by the released one: `python -m tests.golden DIRECTORY`.

Reads every NAME_KIND.safetensors of the directory (any NAME) and prints one line per file with its largest error. Exits
with 0 when all are within tolerance, 1 when one is not or is damaged, 2 when there is nothing to check.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file

from core.backends.attach import attach
from core.backends.blend_pass import BlendPass, BlendRecord, FaidDecoding, parallel_pass
from core.codebook import Codebook
from core.context import Context, context_codes, keys, retrieving_positions
from core.daid import blend, retrieval_distribution
from core.faid import (
    Blended,
    Blender,
    CollapsedLayer,
    ContextMemory,
    Faid,
    blender_from_tensors,
    collapse,
    direct,
)
from core.patches.database import INDEX_KINDS, PatchDatabase
from core.patches.protocol import ImageInfo
from core.types import ArragError, Grid, Neighbours
from tests.llama import Stack

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
    except (SafetensorError, OSError, ValueError, IndexError, TypeError, RuntimeError, ArragError) as damage:
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


# -- FAiD -------------------------------------------------------------------------------------------------------------


def check_blender(tensors: Tensors) -> float:
    """Largest error of one blender, in the direct form and in the collapsed one, step by step and all positions."""
    values = _torch(tensors)
    blender = blender_from_tensors(_weights(values))
    if list(blender.hops) != tensors["meta.hops"].tolist():
        return float("inf")
    grid, prefix = _grid(tensors), int(tensors["meta.T_text"])
    return float(np.max([*_blender_steps(blender, grid, prefix, values), *_blender_everywhere(blender, grid, values)]))


def _blender_steps(blender: Blender, grid: Grid, prefix: int, values: dict[str, torch.Tensor]) -> list[float]:
    """Errors at the tested positions, where the centre is the feature as it is."""
    cells = torch.nn.functional.pad(values["infer.hidden"][:, prefix:], (0, 0, 0, 1))
    collapsed = collapse(blender)
    memory = ContextMemory(collapsed, grid, len(cells))
    wanted = {position: number for number, position in enumerate(values["infer.pos"].tolist())}
    errors = []
    for position in range(grid.positions):
        if position > 0:
            memory.write(position - 1, cells[:, position - 1])
        if position in wanted:
            number = wanted[position]
            centres = values["infer.retrieved"][number].expand(len(cells), -1, -1)
            for blended in (
                direct(blender, grid, cells, centres, position),
                collapsed.blend(memory.context(position), centres),
            ):
                errors.append(_error(blended.features, values["infer.out"][number, :, 0]))
                errors.append(_error(blended.compatibility, values["infer.score"][number, ..., 0]))
    return errors if len(wanted) == len(values["infer.out"]) == len(errors) // 4 else [float("inf")]


def _blender_everywhere(blender: Blender, grid: Grid, values: dict[str, torch.Tensor]) -> list[float]:
    """Errors at all positions, where the centre is zero at those that do not retrieve."""
    cells = values["train.hidden"][:, -grid.positions :]
    centres = values["train.retrieved"] * _retrieving(grid)[:, None, None]
    collapsed = collapse(blender)
    slow = [direct(blender, grid, cells, centres[:, position], position) for position in range(grid.positions)]
    forms = [
        collapsed.blend(collapsed.context_everywhere(grid, cells), centres),
        Blended(torch.stack([s.features for s in slow], 1), torch.stack([s.compatibility for s in slow], 1)),
    ]
    errors = [_error(form.features, values["train.out"]) for form in forms]
    return errors + [_error(form.compatibility, values["train.score"]) for form in forms]


def check_layer(tensors: Tensors) -> float:
    """Largest error of one decoder layer with a blender attached, teacher-forced and step by step."""
    values = _torch(tensors)
    weights = {f"layers.0.{name}": value for name, value in _weights(values).items()}
    final_norm = {"norm.weight": torch.ones_like(weights["layers.0.input_layernorm.weight"])}  # the file has none
    stack = Stack.from_tensors(weights | final_norm, 1, *tensors["meta.heads"].tolist())
    faid, layer, grid, prefix = _faid(weights), stack.layer(0), _grid(tensors), int(tensors["meta.T_text"])
    blending = _whole(faid, grid, prefix, values["train.retrieved_in"])
    with attach(stack.layers, blending):
        hidden = layer(values["train.hidden_in"], cache=[])
    prompt, codes = values["infer.hidden_in"].tensor_split([prefix], dim=1)
    cache: list[torch.Tensor] = []
    outputs, records = _stepwise(
        stack, faid, grid, values["infer.retrieved_in"], prompt, codes, lambda entries: layer(entries, cache=cache)
    )
    errors = [
        _error(hidden, values["train.hidden_out"]),
        _error(blending.records[0].features, values["train.retrieved_out"]),
        _error(outputs, values["infer.hidden_out"]),
        _error(torch.cat([record.features[0] for record in records]), values["infer.retrieved_out"]),
    ]
    return float(np.max(errors))


def check_model(tensors: Tensors) -> float:
    """Largest error of a whole stack with all of its blenders attached, teacher-forced and step by step."""
    values = _torch(tensors)
    weights = _weights(values)
    count, every = tensors["meta.layers_every"].tolist()
    stack, faid, grid = (
        Stack.from_tensors(weights, count, *tensors["meta.heads"].tolist()),
        _faid(weights),
        _grid(tensors),
    )
    if [layer.number for layer in faid] != list(range(0, count, every)):
        return float("inf")
    text, image = values["text"], values["image"]
    with attach(stack.layers, _whole(faid, grid, text.shape[1], values["retrieved"])):
        hidden = stack(torch.cat([text[:1], image], dim=1), stack.caches())
    caches = stack.caches()
    outputs, _ = _stepwise(
        stack,
        faid,
        grid,
        values["retrieved"].transpose(0, 1),
        text,
        image.expand(len(text), -1, -1),
        lambda entries: stack(entries, caches),
    )
    expected = values["train.last_hidden"], values["infer.last_hidden"]
    return float(np.max([_error(hidden, expected[0]), _error(outputs, expected[1])]))


def _whole(faid: tuple[CollapsedLayer, ...], grid: Grid, prefix: int, features: torch.Tensor) -> BlendPass:
    """The teacher-forced pass: the centre is zero where nothing is retrieved, in every blender."""
    present = _retrieving(grid)[:, None].expand(features.shape[:-1])
    return parallel_pass(faid, grid, prefix, features, present)


def _stepwise(
    stack: Stack,
    faid: tuple[CollapsedLayer, ...],
    grid: Grid,
    features: torch.Tensor,
    prompt: torch.Tensor,
    codes: torch.Tensor,
    run: Callable[[torch.Tensor], torch.Tensor],
) -> tuple[torch.Tensor, list[BlendRecord]]:
    """Newest output [S, 2, D] and records of every step of released decoding: one prompt and its unconditional row.

    features: [S, 1, K, D]; prompt: [2, T, D]; codes: [2, S or less, D], of which step i takes the one before it.
    """
    decoding = FaidDecoding(faid, grid, 1, "official")
    nothing = torch.zeros(features.shape[1:-1], dtype=torch.bool)  # the official rule does not look at it
    outputs, records = [], []
    for position in range(grid.positions):
        step = decoding.step(position, features[position], nothing)
        with attach(stack.layers, step):
            outputs.append(run(codes[:, position - 1 : position] if position else prompt)[:, -1])
        records += step.records
    return torch.stack(outputs), records


def _faid(weights: dict[str, torch.Tensor]) -> tuple[CollapsedLayer, ...]:
    """The blenders of a file, collapsed."""
    return Faid.from_tensors(weights).collapse()


def _retrieving(grid: Grid) -> torch.Tensor:
    """Which positions [S] retrieve."""
    mask = torch.zeros(grid.positions, dtype=torch.bool)
    mask[retrieving_positions(Context(), grid).tolist()] = True
    return mask


def _grid(tensors: Tensors) -> Grid:
    """The square grid of a file."""
    side = math.isqrt(int(tensors["meta.S_img"]))
    return Grid(side, side)


def _torch(tensors: Tensors) -> dict[str, torch.Tensor]:
    """The same tensors for torch."""
    return {name: torch.from_numpy(value) for name, value in tensors.items()}


def _weights(values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of a file under the names of the released checkpoint."""
    return {name.removeprefix("w."): value for name, value in values.items() if name.startswith("w.")}


def _error(got: torch.Tensor, expected: torch.Tensor) -> float:
    """Relative error of a tensor."""
    return relative_error(got.numpy(), expected.numpy())


CHECKS: Final[dict[str, Callable[[Tensors], float]]] = {
    "daid": check_daid,
    "blender": torch.no_grad()(check_blender),
    "layer": torch.no_grad()(check_layer),
    "model": torch.no_grad()(check_model),
}
"""Kind of file (the name after the first part) -> its largest error. Other kinds are reported as not yet checked."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

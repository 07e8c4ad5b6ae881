"""The command line on the embedded model: its report, its files, and one line for every mistake."""

from __future__ import annotations

import argparse
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.__main__ import main, program_name
from core.backends.emoji.backend import EmojiBackend
from core.commands import model
from core.commands.command import Command
from core.commands.evaluate import EVALUATIONS, Evaluation
from core.commands.generate import prompt_behind
from core.evaluation import repeat
from core.patches.catalogue import DATABASES
from core.patches.database import PatchDatabase
from core.trace import Trace
from core.types import METHODS
from tests.terminal import shown
from tests.tiny import tiny_backend

ROOT = Path(__file__).resolve().parents[2]
OLD = Path(__file__).parent / "old_traces"
FAST = ["--cfg-scale", "1"]


@pytest.fixture
def recorded() -> Path:
    return OLD / "daid.npz"


@pytest.fixture(scope="module")
def quick(database: PatchDatabase, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options for the tiny model, where it does not matter what is drawn: 64 codes in a tenth of the time."""
    folder = tmp_path_factory.mktemp("tiny") / "database"
    database.save(folder)
    return [*FAST, "--backend", "tests.tiny:load", "--database", str(folder)]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(["generate", *arguments]) == 0
    report: dict[str, object] = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    return report


def test_generate_writes_picture_and_trace_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, trace_path = tmp_path / "heart.png", tmp_path / "heart.npz"
    options = ["--method", "daid", "--seed", "7", "--retrieval-weight", "0.3", "--retrieval-temperature", "0.1"]
    options += [
        "--neighbours",
        "64",
        "--aggregate",
        "sum",
        "--gate",
        "0.5",
        "--caption-filter",
        "32",
        "--cfg-scale",
        "2",
    ]
    options += ["--database", "emoji", "--styles", "3d,noto", "--out", str(out), "--trace", str(trace_path)]
    report = run(capsys, "a red heart, 3d style", *options)
    assert set(report) == {
        "image", "trace", "codes_sha256", "positions", "retrieving_positions", "flips", "seconds", "retrieval_seconds",
    }  # fmt: skip
    assert (report["positions"], report["retrieving_positions"]) == (256, 210)
    with Image.open(out) as picture:
        assert picture.size == (128, 128)
    trace = Trace.load(trace_path)
    assert trace.settings.styles == ("3d", "noto")
    assert {source.style for source in trace.sources.values()} <= {"3d", "noto"}
    assert len(trace.sources) <= 32
    assert report["flips"] == len(trace.flips())


@pytest.mark.parametrize("method", ["faid", "faid+daid"])
def test_faid_reports_flips_when_they_were_recorded(
    method: str, quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--method", method, "--faid-neighbours", "4", "--out", str(tmp_path / "a.png"), *quick]
    report = run(capsys, "a dog", *options)
    assert (report["retrieving_positions"], report["flips"]) == (42, None)
    told = run(capsys, "a dog", *options, "--record-unblended", "--trace", str(tmp_path / "a.npz"))
    trace = Trace.load(tmp_path / "a.npz")
    assert told["flips"] == len(trace.flips())
    assert told["codes_sha256"] == report["codes_sha256"]
    assert trace.steps[20].faid is not None
    assert trace.steps[20].faid.present == 4


def test_the_inside_of_the_model_is_kept_when_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace_path = tmp_path / "dog.npz"
    options = ["--inside", "--out", str(tmp_path / "a.png"), "--trace", str(trace_path), *FAST]
    run(capsys, *options, "-dog")
    assert main(["trace", "info", str(trace_path)]) == 0
    assert json.loads(capsys.readouterr().out)["inside"] is True
    assert main(["trace", "explain", str(trace_path), "--position", "100"]) == 0
    inside = json.loads(capsys.readouterr().out)["inside"]
    assert [word for word, _ in inside["words"]] == ["-", "dog", "(start)"]
    assert all(place["position"] < 100 for place in inside["looked_at_most"])
    assert [(stage["layer"], stage["place"]) for stage in inside["stages"]] == [
        (0, "start"), (0, "end"), (1, "end"), (2, "end"), (3, "end"),
    ]  # fmt: skip
    trace = Trace.load(trace_path)
    model = np.exp(trace.steps[100].logits - trace.steps[100].logits.max())
    assert inside["stages"][-1]["likeliest"][0]["code"] == int(
        model.argmax()
    )  # without guidance it is what was drawn from
    assert inside["stages"][-1]["likeliest"][0]["probability"] == pytest.approx(model.max() / model.sum(), rel=1e-3)


def test_same_seed_same_codes(quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "a.png"), *quick]
    first, again = (run(capsys, "a dog", *out)["codes_sha256"] for _ in range(2))
    assert first == again
    assert run(capsys, "a dog", *out, "--seed", "1")["codes_sha256"] != first


def test_method_model_retrieves_nothing(quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = run(capsys, "a dog", "--method", "model", "--out", str(tmp_path / "a.png"), *quick)
    assert (report["retrieving_positions"], report["flips"]) == (0, 0)


def test_what_is_drawn_is_what_is_recorded(
    quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--out", str(tmp_path / "a.png"), "--trace", str(tmp_path / "a.npz"), *quick]
    expected = {}
    for prompt, read in (("caf\udce9", "café"), ("\u200bcafe\u0301", "café"), ("-heart", "-heart"), ("--🍕", "--🍕")):
        behind = ["--", prompt] if prompt.startswith("--") else [prompt]
        report = run(capsys, *options, *behind)
        assert Trace.load(tmp_path / "a.npz").prompt == read
        assert report["codes_sha256"] == Trace.load(tmp_path / "a.npz").codes_sha256
        assert expected.setdefault(read, report["codes_sha256"]) == report["codes_sha256"]


def test_a_prompt_without_a_known_word_is_noted(
    quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "猫", "--out", str(tmp_path / "a.png"), *quick]) == 0
    assert "note: no word of this prompt is known: the caption filter is skipped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["generate", "-heart"], ["generate", "--", "-heart"]),
        (["generate", "-heart", "--seed", "3"], ["generate", "--seed", "3", "--", "-heart"]),
        (["generate", "--record-unblended", "-x"], ["generate", "--record-unblended", "--", "-x"]),
        (["generate", "--seed=3", "-x"], ["generate", "--seed=3", "--", "-x"]),
        (["generate", "x", "--gate", "-1"], ["generate", "x", "--gate", "-1"]),
        (["generate", "--", "-x"], ["generate", "--", "-x"]),
        (["generate", "-h"], ["generate", "-h"]),
        (["bench", "-x"], ["bench", "-x"]),
        ([], []),
    ],
)
def test_a_prompt_may_begin_with_a_hyphen(given: list[str], read: list[str]) -> None:
    assert prompt_behind(given) == read


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["generate", "x", "--seed", "abc"], "seed: got 'abc', expected a whole number from 0"),
        (["generate", "x", "--seed", "-1"], "seed: got -1, expected a whole number from 0"),
        (["generate", "x", "--retrieval-weight", "2"], "retrieval_weight: got 2.0, expected a number from 0 to 1"),
        (["generate", "x", "--temperature", "nan"], "temperature: got nan"),
        (["generate", "x", "--method", "magic"], "method: got 'magic', expected one of model, daid, faid, faid+daid"),
        (["generate", "x", "--faid-neighbours", "0"], "faid_neighbours: got 0, expected a whole number from 1"),
        (["generate", "x", "--aggregate", "mean"], "aggregate: got 'mean', expected one of sum, nearest"),
        (["generate", "x", "--styles", "oil"], "styles: got oil; expected some of 3d, flat, noto, twemoji"),
        (["generate", "x", "--database", "nowhere"], "database: got 'nowhere', expected a folder or one of emoji"),
        (["generate", "x", "--backend", "gan"], "backend: got 'gan', expected one of emoji"),
        (["generate", "x", "--out", "picture.xyz"], "output file: got 'picture.xyz'"),
        (["generate", "x", "--out", "nowhere/a.png"], "there is no folder 'nowhere'"),
        (["generate", "x", "--out", "/proc/a.png"], "output file: got '/proc/a.png', which cannot be written ("),
        (["generate", "x", "--trace", "/proc/a.npz"], "output file: got '/proc/a.npz', which cannot be written ("),
        (["database", "build", "--images", ".", "--out", "/proc/a"], "out: got '/proc/a', which cannot be written ("),
        (["generate", "x", "--trace", "a.txt"], "output file: got 'a.txt'"),
        (["generate", "x", "--inside"], "--inside: got no --trace to keep it in"),
        (["generate", "  "], "prompt: got 0 characters"),
        (["generate", "x" * 301], "prompt: got 301 characters, expected 1 to 300"),
        (["generate"], "prompt: got none, expected what to draw"),
        (["generate", "x", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["paint"], "invalid choice: 'paint'"),
        ([], "required: command"),
        (["database", "info", "--database", "nowhere"], "database: got 'nowhere'"),
    ],
)  # fmt: skip
def test_mistakes_get_one_line_and_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "/proc" in said and not Path("/proc").is_dir():
        pytest.skip("only Linux has /proc, where not even root can write")
    monkeypatch.chdir(tmp_path)
    try:
        status: object = main(arguments)
    except SystemExit as stop:
        status = stop.code
    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    assert said in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", ["faid", "faid+daid"])
def test_a_model_without_blenders_gets_one_line_too(
    method: str,
    quick: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = tiny_backend(faid=False)
    monkeypatch.setattr("core.commands.model.load_backend", lambda name, source: plain)
    assert main(["generate", "x", "--method", method, "--out", str(tmp_path / "a.png"), *quick]) == 2
    captured = capsys.readouterr()
    assert "got no FAiD weights" in captured.err
    assert len(shown(captured.err)) == 1
    assert list(tmp_path.iterdir()) == []


def test_database_info_counts_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["database", "info"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["entries"] == info["images"] * 210
    assert sum(info["styles"].values()) == info["images"]
    assert 0 < info["repeated_contexts"] < info["unique_contexts"] <= info["entries"]
    assert 0 < info["codes_of_half_the_cells"] < info["codes_used"] / 2


def test_picture_shows_the_codes_of_the_trace(
    backend: EmojiBackend, quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "a pizza", "--out", str(tmp_path / "a.png"), "--trace", str(tmp_path / "a.npz"), *quick)
    codes = Trace.load(tmp_path / "a.npz").codes.reshape(1, 8, 8).astype(np.uint16)
    expected = backend.decode_codes(codes)[0]
    with Image.open(tmp_path / "a.png") as picture:
        assert np.array_equal(np.asarray(picture), expected)


@pytest.mark.parametrize("option", ["--out", "--trace"])
def test_a_folder_in_the_place_of_a_result_is_told_before_the_work(
    option: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.commands.model.load_backend", lambda *_: pytest.fail("worked first"))
    folder = tmp_path / ("a.png" if option == "--out" else "a.npz")
    folder.mkdir()
    assert main(["generate", "x", "--out", str(tmp_path / "b.png"), option, str(folder)]) == 2
    assert f"output file: got '{folder}', which is a folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [folder]


def test_a_result_that_is_there_is_left_alone_until_it_is_made(tmp_path: Path) -> None:
    old = tmp_path / "a.png"
    old.write_bytes(b"old")
    assert main(["generate", "x", "--database", "nowhere", "--out", str(old)]) == 2
    assert old.read_bytes() == b"old"


@pytest.mark.parametrize(("kind", "name"), [(Image.Image, "a.png"), (Trace, "a.npz")])
def test_a_disk_that_fills_up_during_the_work_is_told_in_one_line(
    kind: type,
    name: str,
    quick: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def save(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kind, "save", save)
    files = ["--out", str(tmp_path / "a.png"), "--trace", str(tmp_path / "a.npz")]
    assert main(["generate", "x", "--method", "model", *quick, *files]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    got = f"{tmp_path / name} cannot be written (No space left on device)"
    assert said == f"error: output file: {got}; make room, or choose another"


# -- Commands ---------------------------------------------------------------------------------------------------------


IMPORTED = """
import sys
from core.__main__ import main
try:
    main(sys.argv[1:])
finally:
    print(*sorted({name.split(".")[0] for name in sys.modules} | set(sys.modules)), file=sys.stderr)
"""
HEAVY = {"torch", "faiss", "safetensors", "tokenizers", "tqdm", "PIL", "transformers", "gradio", "matplotlib"}


def imported(*arguments: str) -> set[str]:
    """Everything that a command line imports."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["generate", "--help"], ["evaluate", "--help"], ["bench", "--help"], ["generate", "x", "--nonsense"]],
)
def test_help_and_mistakes_import_nothing_heavy(arguments: list[str]) -> None:
    found = imported(*arguments)
    assert "core.__main__" in found
    assert found.isdisjoint(HEAVY)


@pytest.mark.parametrize("method", ["model", "daid"])
def test_a_run_imports_only_what_it_uses(method: str, tmp_path: Path) -> None:
    found = imported("generate", "pizza", "--method", method, "--out", str(tmp_path / "a.png"), *FAST)
    assert (tmp_path / "a.png").exists()
    assert "torch" in found
    assert found.isdisjoint({"faiss", "transformers", "gradio", "matplotlib", "core.training", "core.evaluation"})


def test_what_a_trace_tells_needs_no_torch(recorded: Path) -> None:
    assert imported("trace", "info", str(recorded)).isdisjoint(HEAVY)


def test_it_says_at_once_what_is_being_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "x", "--method", "model", "--out", str(tmp_path / "a.png"), *FAST]) == 0
    told = capsys.readouterr().err
    assert told.index("load emoji") < told.index("generate")
    assert all(line.startswith("generate") for line in shown(told))


def test_commands_from_above_stand_beside_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    asked = []

    def serve(chosen: argparse.Namespace) -> int:
        asked.append(chosen.port)
        raise KeyboardInterrupt

    def add_port(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--port", type=int)

    assert main(["serve", "--port", "7"], more=[Command("serve", "serve the page", add_port, serve)]) == 2
    assert asked == [7]
    assert capsys.readouterr().err == "error: interrupted\n"


@pytest.mark.parametrize(
    ("called", "name"), [("/a/core/__main__.py", "python -m core"), ("/usr/bin/arrag", "arrag"), ("arrag", "arrag")]
)
def test_usage_names_what_was_called(
    called: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [called])
    assert program_name() == name
    with pytest.raises(SystemExit) as stop:
        main(["generate", "--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {name} generate ")


def test_help_names_the_databases_that_ship() -> None:
    assert model.DATABASES.split(", ")[0].split(" | ") == list(DATABASES)


@pytest.mark.parametrize("evaluation", EVALUATIONS, ids=lambda evaluation: evaluation.name)
def test_every_evaluation_has_help_and_something_that_does_it(
    evaluation: Evaluation, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", evaluation.name, "--help"])
    assert stop.value.code == 0
    told = capsys.readouterr().out
    assert all(flag in told for flag in evaluation.options)
    assert callable(pytest.importorskip(f"core.evaluation.{evaluation.module}").run)


@pytest.mark.parametrize("method", METHODS)
def test_evaluations_take_every_method_and_no_other(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(repeat, "run", lambda chosen: asked.append(chosen.method) or 0)
    assert main(["evaluate", "repeat", "--method", method]) == 0
    assert asked == [method]
    with pytest.raises(SystemExit):
        main(["evaluate", "repeat", "--method", "none of them"])


def test_sizes_are_computed_for_both_widths_of_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers")
    weights = []
    for width in ("2", "4"):
        assert main(["evaluate", "sizes", "--json", "--bytes", width]) == 0
        weights.append(json.loads(capsys.readouterr().out)["Janus-Pro-1B"]["weights"])
    assert weights[1] == 2 * weights[0]


# -- Traces -----------------------------------------------------------------------------------------------------------


def test_a_trace_tells_what_it_is_of(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = Trace.load(recorded)
    assert main(["trace", "info", str(recorded)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["prompt"], told["steps"], told["grid"]) == (trace.prompt, 64, [8, 8])
    assert told["codes_sha256"] == trace.codes_sha256
    assert told["flips"] == trace.flips().tolist()
    assert told["settings"]["method"] == trace.settings.method
    assert told["origin"]["model"] == trace.origin.model
    assert told["inside"] is False


@pytest.mark.parametrize("name", ["daid", "faid"])
def test_a_trace_tells_why_a_position_has_its_code(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = OLD / f"{name}.npz"
    trace = Trace.load(path)
    for position in (0, 12, 63):
        assert main(["trace", "explain", str(path), "--position", str(position)]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["code"] == trace.steps[position].code
        assert (told["row"], told["column"]) == divmod(position, 8)
        assert told["flip"] == (None if name == "faid" else position in trace.flips())
        blend = trace.blend(position).blended
        assert told["likeliest"]["blended"][0] == {"code": int(blend.argmax()), "probability": float(blend.max())}
        assert (told["not_retrieved"] is None) == bool(told["neighbours"])
        assert all(near["caption"] for near in told["neighbours"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["explain", str(OLD / "daid.npz")], "position: got nothing, expected 0 to 63; give --position"),
        (["explain", str(OLD / "daid.npz"), "--position", "64"], "position: got 64, expected 0 to 63"),
        (["explain", str(OLD / "daid.npz"), "--position", "-1"], "position: got -1, expected 0 to 63"),
        (["info", "nowhere.npz"], "nowhere.npz: cannot be read (No such file or directory)"),
        (["info", __file__], "test_command_line.py: not a trace, or damaged"),
        (["from-picture", __file__], "test_command_line.py: no picture that can be read"),
        (["from-picture", "nowhere.png"], "nowhere.png: No such file or directory"),
    ],
)
def test_mistakes_about_traces_get_one_line_and_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_saved_picture_tells_how_it_was_made_and_is_drawn_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, again = tmp_path / "a.webp", tmp_path / "again.npz"
    drawn = run(capsys, "a red heart", "--seed", "5", "--gate", "0", "--out", str(picture))
    assert main(["trace", "from-picture", str(picture)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["prompt"], told["model"], told["database"]) == ("a red heart", "emoji", "emoji")
    assert (told["settings"]["seed"], told["settings"]["gate"], told["note"]) == (5, 0, "")
    assert told["codes_sha256"] == drawn["codes_sha256"]
    assert told["link"].startswith("?prompt=a+red+heart&model=emoji&database=emoji&seed=5&")
    assert main(["trace", "from-picture", str(picture), "--trace", str(again)]) == 0
    assert json.loads(capsys.readouterr().out)["same_codes"] is True
    assert Trace.load(again).codes_sha256 == drawn["codes_sha256"]

"""What is known of models and databases before anything is loaded."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from core.__main__ import main
from core.assets import ASSETS
from core.backends import BACKENDS
from core.backends.facts import EMBEDDED_FACTS, FACTS, JANUS_FACTS
from core.inputs.prompt import ANY_LIMIT, PromptLimit, clean_prompt
from core.patches.released import CODES_FILE, INDEX_FILE
from core.types import ConfigError, DecodeSettings

EMOJI = ASSETS / "databases" / "emoji"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder with the manifest of the embedded models' database, which is all that is looked at."""
    shutil.copy(EMOJI / "manifest.json", tmp_path)
    return tmp_path


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A folder that looks like a released database of 100 entries."""
    (tmp_path / INDEX_FILE).write_bytes(b"")
    np.save(tmp_path / CODES_FILE, np.zeros(100, np.int64))
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The line that ends a command with status 2."""
    assert main(["generate", "a heart", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_all_models_of_the_package_are_known() -> None:
    assert set(FACTS) == set(BACKENDS)
    assert EMBEDDED_FACTS.defaults == DecodeSettings()


def test_janus_has_the_settings_of_the_released_code() -> None:
    settings = JANUS_FACTS.defaults
    assert (settings.cfg_scale, settings.temperature, settings.top_p, settings.top_k) == (5, 1, 1, 0)
    assert (settings.n_neighbours, settings.retrieval_temperature, settings.faid_neighbours) == (2048, 1, 10)
    assert (settings.gate, settings.caption_filter, settings.negative_share) == (0, 0, 0)
    assert JANUS_FACTS.prompt.tokens == 512


@pytest.mark.parametrize("name", ["emoji", "seen", "unseen"])
def test_databases_of_the_embedded_models_are_refused_for_janus(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = told(capsys, "--backend", "janus", "--model", "/nowhere", "--database", name)
    assert f"database: got '{name}', which is of the embedded models, expected one of the codebook of janus" in line


def test_so_is_a_folder_of_their_codebook_and_one_of_another_for_them(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = told(capsys, "--backend", "janus", "--model", "/nowhere", "--database", str(copied))
    assert "which is of the embedded models" in line
    manifest = copied / "manifest.json"
    manifest.write_text(manifest.read_text().replace("f69a30329d709c37", "0123456789abcdef"))
    assert "which is of another codebook" in told(capsys, "--database", str(copied))


def test_faid_without_weights_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    line = told(capsys, "--backend", "janus", "--model", "/nowhere", "--method", "faid")
    assert "got a method with FAiD and no weights for it" in line
    assert "give --faid, or take method model or daid" in line


def test_a_folder_that_is_no_database_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = told(capsys, "--backend", "janus", "--model", "/nowhere", "--database", str(tmp_path))
    assert "a folder with neither manifest.json nor faiss_ivf_pq_opq.index" in line


def test_more_neighbours_than_entries_are_refused_where_they_are_asked_for(
    released: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    janus = ("--backend", "janus", "--model", "/nowhere", "--database", str(released))
    assert "n_neighbours: got 101, expected at most the 100 entries" in told(capsys, *janus, "--neighbours", "101")
    assert "model: got '/nowhere'" in told(capsys, *janus)  # 2,048 by default are as many as there are


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--caption-filter", "8"), "caption_filter: got 8"),
        (("--styles", "3d,flat"), "styles: got 3d, flat"),
        (("--position-weight", "0.5"), "position_weight: got 0.5"),
        (("--neighbours", "0"), r"n_neighbours: got 0, expected 1..2048"),
        (("--neighbours", "3000"), r"n_neighbours: got 3000, expected 1..2048"),
    ],
)
def test_what_a_released_database_cannot_search_by_is_refused(
    words: tuple[str, ...], said: str, released: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in told(capsys, "--backend", "janus", "--model", "/nowhere", "--database", str(released), *words)


def test_help_names_the_defaults_and_the_cost_of_guidance_of_each_model(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["generate", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "(default: emoji, novice: 64; janus: 2048)" in text
    assert "(default: emoji, novice: 2.0; janus: 5.0)" in text
    assert f"with janus, {JANUS_FACTS.guidance}" in text
    assert "twice" not in text.split("--cfg-scale")[1].split("--negative-share")[0]


def test_a_prompt_may_be_as_long_as_its_model_takes() -> None:
    assert PromptLimit().words == "1 to 300 characters"
    assert JANUS_FACTS.prompt.words == "1 to 4,000 characters that are at most 512 tokens"
    long = "a red heart " * 200
    assert len(clean_prompt(long, ANY_LIMIT)) == 2399
    for limit, said in ((PromptLimit(), "expected 1 to 300;"), (ANY_LIMIT, "expected 1 to 4,000;")):
        with pytest.raises(ConfigError, match=said):
            clean_prompt("x" * (limit.characters + 1), limit)

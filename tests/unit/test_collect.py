"""Databases from a folder of pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.__main__ import main
from core.backends import EMBEDDED
from core.context import Context
from core.inputs.picture import open_picture
from core.patches.building.collect import collect
from core.patches.database import PatchDatabase
from core.types import ConfigError
from tests.tiny import tiny_backend


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three pictures of different shapes and kinds."""
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (80, 40), "red").save(folder / "red_wide-picture.png")
    clear = Image.new("RGBA", (30, 60), (0, 0, 255, 0))
    clear.paste((0, 0, 255, 255), (0, 0, 30, 8))
    clear.save(folder / "clear.webp", lossless=True)
    Image.effect_noise((64, 64), 80).convert("L").save(folder / "grey.jpg")
    (folder / "grey.txt").write_text("  noise,\nin grey \n", encoding="utf-8")
    (folder / "notes.md").write_text("not a picture", encoding="utf-8")
    return folder


def test_pictures_become_entries_with_captions(images: Path) -> None:
    backend = tiny_backend()
    made = collect(backend, images, Context())
    assert [info.caption for info in made.metadata] == ["clear", "noise, in grey", "red wide picture"]
    assert len(made) == 3 * 7 * 6
    names = ("clear.webp", "grey.jpg", "red_wide-picture.png")
    shown = np.stack([open_picture((images / name).read_bytes(), name, 64).covering(64) for name in names])
    np.testing.assert_array_equal(made.grids, backend.encode_images(shown))
    assert made.picture(2) is not None
    assert made.nearest_captions(backend.embed_captions(["a red picture"])[0], 1).tolist() == [2]


def test_what_cannot_be_read_is_named(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = tiny_backend()
    (images / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    (images / "same.png").write_bytes((images / "red_wide-picture.png").read_bytes())
    with pytest.raises(ConfigError, match=r"broken\.png: not a readable picture .*PNG file"):
        collect(backend, images)
    told = dict[str, str]()
    assert len(collect(backend, images, skip=told.__setitem__).images) == 3
    assert told["same.png"] == "the same as red_wide-picture.png"
    assert set(told) == {"broken.png", "same.png"}
    (images / "broken.png").unlink()
    monkeypatch.setattr("core.inputs.picture.MOST_MEMORY", 2000)
    with pytest.raises(ConfigError, match=r"clear\.webp: got .* to decode"):
        collect(backend, images)
    for empty, said in ((images / "none", "expected a folder"), (images.parent / "other", "expected at least one")):
        (images.parent / "other").mkdir(exist_ok=True)
        with pytest.raises(ConfigError, match=said):
            collect(backend, empty)


def test_the_command_builds_a_database_for_janus(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_janus = pytest.importorskip("tests.tiny_janus")
    size = tiny_janus.Size(side=24, layers=1)
    tiny_janus.save_model(tmp_path / "model", tiny_janus.tiny_janus(size))
    janus = ["--backend", "janus", "--model", str(tmp_path / "model"), "--device", "cpu"]
    built = ["database", "build", *janus, "--images", str(images), "--out", str(tmp_path / "made")]
    assert main(built) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["images"], report["entries"]) == (3, 3 * 506)
    assert main(["database", "info", *janus, "--database", str(tmp_path / "made")]) == 0
    assert json.loads(capsys.readouterr().out)["fingerprint"] == report["fingerprint"]
    draw = ["generate", "a heart", "--out", str(tmp_path / "heart.png"), "--database", str(tmp_path / "made")]
    assert main(draw) == 2  # of another codebook
    assert "build one of your own pictures with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--images", "nowhere", "--out", "x"], "nowhere', expected a folder"),
        (["--images", "nowhere"], "out: got nothing, expected a folder"),
        ([], "images: got nothing, expected a folder"),
        (["--images", ".", "--out", "x", "--radius", "3"], "context radius: got 3"),
        (["--images", ".", "--out", "x", "--border", "mirror"], "context border: got 'mirror'"),
        (["--images", ".", "--out", "x", "--model", "a/b"], f"backend {EMBEDDED[0]}: got a model"),
    ],
)
def test_mistakes_get_one_line(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["database", "build", *options]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_saved_database_opens_again(images: Path, tmp_path: Path) -> None:
    backend = tiny_backend()
    made = collect(backend, images, Context(2, "zero"))
    made.save(tmp_path / "made")
    again = PatchDatabase.load(tmp_path / "made", backend.codebook)
    assert again.fingerprint == made.fingerprint
    assert again.context == Context(2, "zero")

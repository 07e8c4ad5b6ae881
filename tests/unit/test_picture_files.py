"""Saved pictures say how they were made, in every format, and what cannot be is refused by name."""

from __future__ import annotations

import contextlib
import json
import warnings
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from core import generate
from core.picture_file import KEY, About, AboutSeveral, about, picture_of, read, save, write
from core.types import Change, ConfigError, DecodeSettings
from tests.tiny import tiny_backend

SAID = About("ein rotes Herz ❤ é", "emoji", "unseen", DecodeSettings(seed=7, styles=("3d", "flat")), "ab" * 32)
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8))


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.jpg", "A.PNG", "ä 🍕.webp"])
def test_what_was_saved_is_read_again(tmp_path: Path, name: str) -> None:
    save(PICTURE, tmp_path / name, SAID)
    assert read(tmp_path / name) == SAID
    with Image.open(tmp_path / name) as opened:
        assert opened.size == PICTURE.size


def test_image_programs_find_it_where_they_look(tmp_path: Path) -> None:
    save(PICTURE, tmp_path / "a.png", SAID)
    save(PICTURE, tmp_path / "a.webp", SAID)
    with Image.open(tmp_path / "a.png") as png, Image.open(tmp_path / "a.webp") as webp:
        shown, comment = png.info["parameters"], webp.getexif().get_ifd(0x8769)[0x9286]
    assert shown.startswith("ein rotes Herz ❤ é\nModel: emoji, Database: unseen, Seed: 7, Method: daid, ")
    assert comment[:8] == b"UNICODE\0"
    assert comment[8:].decode("utf-16-be") == shown


def test_the_link_has_every_setting() -> None:
    values = parse_qs(SAID.link[1:], keep_blank_values=True)
    assert set(values) == {"prompt", "model", "database", "codes", *DecodeSettings.__dataclass_fields__}
    assert values["styles"] == ["3d,flat"]
    assert values["record_unblended"] == ["false"]
    assert values["codes"] == ["ab" * 8]


def test_pictures_that_do_not_say_and_files_that_are_none_are_refused(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "plain.png")
    (tmp_path / "text.png").write_text("hello", encoding="utf-8")
    (tmp_path / "folder.png").mkdir()
    for name, message in (
        ("plain.png", "does not say how it was made"),
        ("text.png", "no picture that can be read|cannot identify"),
        ("folder.png", "directory"),
        ("absent.png", "No such file"),
    ):
        with pytest.raises(ConfigError, match=message):
            read(tmp_path / name)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": ""},
        {"prompt": 5},
        {"settings": {"seed": -1}},
        {"settings": {"colour": 1}},
        {"settings": []},
        {"model": None},
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    values = json.loads(SAID.json) | change
    exif = Image.Exif()
    exif[0x010E] = json.dumps(values)
    PICTURE.save(tmp_path / "a.webp", exif=exif)
    with pytest.raises(ConfigError, match=r"a\.webp: "):
        read(tmp_path / "a.webp")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    damage=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=5),
    kind=st.sampled_from(["png", "webp", "jpg"]),
)
def test_damaged_files_are_read_or_refused(tmp_path: Path, damage: list[tuple[int, int]], kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    save(PICTURE, path, SAID)
    data = bytearray(path.read_bytes())
    for place, value in damage:
        data[place % len(data)] = value
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with contextlib.suppress(ConfigError):
            assert read(path).model


def test_a_trace_says_it_of_its_picture(tmp_path: Path) -> None:
    backend = tiny_backend()
    wanted = DecodeSettings(seed=3, method="model")
    trace = generate(backend, None, "  a red   heart ", wanted)
    said = about(trace)
    assert (said.prompt, said.model, said.settings, said.codes_sha256) == (
        "a red heart",
        "emoji",
        wanted,
        trace.codes_sha256,
    )
    picture = picture_of(backend, trace)
    assert picture.size == (backend.pixels, backend.pixels)
    stopped = about(replace(trace, steps=trace.steps[:5]))
    assert (stopped.codes_sha256, stopped.note, stopped.link) == ("", "stopped after 5 of 64 patches", "")
    by_hand = about(replace(trace, changes=(Change(3, code=1),)), "pictures", "mine")
    assert by_hand.note.startswith("changed by hand")
    assert (by_hand.link, by_hand.model, by_hand.database) == ("", "mine", "pictures")
    assert picture_of(backend, replace(trace, steps=trace.steps[:5])).size == picture.size
    with pytest.raises(ConfigError, match="another codebook"):
        picture_of(tiny_backend(), replace(trace, origin=replace(trace.origin, codebook="x")))
    assert KEY in json.loads(said.json)


def test_a_picture_of_a_position_opens_there(tmp_path: Path) -> None:
    save(PICTURE, tmp_path / "a.png", replace(SAID, position=139))
    said = read(tmp_path / "a.png")
    assert said == replace(SAID, position=139)
    assert parse_qs(said.link[1:])["step"] == ["139"]
    assert ", Position: 139, Link: ?" in said.parameters
    assert "step" not in parse_qs(SAID.link[1:])


def test_several_pictures_say_what_they_share_and_what_varies(tmp_path: Path) -> None:
    other = replace(SAID, settings=replace(SAID.settings, seed=8), note="stopped")
    both = AboutSeveral((SAID, other), 2)
    assert both.common["Model"] == "emoji"
    assert "Seed" not in both.common
    title, common, first, second = both.parameters.splitlines()
    assert title == SAID.prompt
    assert common.startswith("Model: emoji, Database: unseen, Method: daid, ")
    assert first == f"1. Seed: 7, Link: {SAID.link}"
    assert second == "2. Seed: 8, Note: stopped"
    with (tmp_path / "a.png").open("wb") as file:
        write(PICTURE, file, "PNG", both)
    with Image.open(tmp_path / "a.png") as png:
        inside = json.loads(png.info[KEY])
    assert [one["settings"]["seed"] for one in inside["pictures"]] == [7, 8]
    with pytest.raises(ConfigError, match=r"a\.png: got a sheet of 2 pictures, expected a single one; each has a link"):
        read(tmp_path / "a.png")

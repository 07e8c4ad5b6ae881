"""What is left of a visitor on the disk of the server, and at the addresses of what was theirs: nothing."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Response, expect

from tests.app.serving import files_in, runs_in, served_on
from tests.browser.chromium import find_chromium
from tests.browser.visitor import generate, open_tab, visit, wait_for

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)

CAPTION = "quartz lantern"
SAVED = ("picture", "page", "trace")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Where the server's temporary files are."""
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


@pytest.fixture
def mine(tmp_path: Path) -> list[Path]:
    """Two pictures with noise that is found again wherever it lies, and a file that is none."""
    noise = np.random.default_rng(5).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    paths = [tmp_path / f"{CAPTION} {number}.png" for number in range(2)]
    for path in paths:
        Image.fromarray(noise).save(path)
    bad = tmp_path / f"{CAPTION} bad.png"
    bad.write_bytes(b"nothing that can be read")
    return [*paths, bad]


def test_nothing_of_a_visitor_is_left(page: Page, disk: Path, mine: list[Path], tmp_path: Path) -> None:
    with served_on(disk) as url:
        fetched: list[str] = []

        def note(response: Response) -> None:
            if "/gradio_api/file=" in response.url and "/handed/" in response.url:
                fetched.append(response.url)

        page.on("response", note)
        visit(page, url)
        before = files_in(disk)
        bring(page, mine)
        assert files_in(disk) == before
        read_one(page, mine)
        assert files_in(disk) == before
        saved = save_all(page, tmp_path)
        open_saved(page, saved)
        assert files_in(disk) == before
        assert len(fetched) >= 4
        assert all(page.request.get(address).ok for address in fetched[-2:])

        open_tab(page, "Your pictures")
        page.locator("#bring-forget").click()
        expect(page.locator("#bring-seen .bs-picture")).to_have_count(0)
        assert [page.request.get(address).status for address in fetched] == [403] * len(fetched)

        generate(page, "a red disc")
        wait_for(page, "ready")
        assert runs_in(disk)
        page.wait_for_function("document.querySelector('#stepper').loupe.trace?.id")
        run = page.evaluate("document.querySelector('#stepper').loupe.trace.id")
        assert page.request.get(fetched[-1]).ok
        open_tab(page, "Keep and share")
        with page.expect_navigation():
            page.locator("#forget-all").click()
        page.locator("#stepper[data-state=idle]").wait_for()
        expect(page.locator("#rail [role=treeitem]")).to_have_count(0)
        assert page.request.get(fetched[-1]).status == 403
        assert run not in page.content()
        assert files_in(disk) == before
        assert runs_in(disk) == []
    left = files_in(disk)
    assert not [path for path, data in left.items() if CAPTION in path.name or any(is_in(one, data) for one in mine)]


def is_in(picture: Path, data: bytes) -> bool:
    """Whether a file holds what a picture's file holds, in part at least."""
    middle = picture.read_bytes()[-200:-20]
    return bool(middle) and middle in data


def bring(page: Page, pictures: list[Path]) -> None:
    """Bring pictures, some of which are taken and one is not, and draw from them."""
    open_tab(page, "Your pictures")
    page.locator("#bring-buttons input[type=file]").set_input_files(pictures)
    status = page.locator("#bring-status textarea")
    expect(status).to_have_value(re.compile("2 pictures are in your database"))
    expect(status).to_have_value(re.compile("Refused quartz lantern bad.png"))
    page.locator("#bring-seen .bs-picture").first.click()
    wait_for(page, "ready")
    expect(page.locator("#prompt textarea")).to_have_value("quartz lantern 0")


def read_one(page: Page, pictures: list[Path]) -> None:
    """Read a picture, and then a file that is none."""
    open_tab(page, "Read a picture")
    field = page.locator("#image-ask input[type=file]")
    for picture, said in ((pictures[0], "nats a code"), (pictures[2], "not a readable picture")):
        field.set_input_files(picture)
        expect(page.locator("#image-maps")).to_contain_text(said)


def save_all(page: Page, folder: Path) -> dict[str, Path]:
    """Save the run in all forms."""
    open_tab(page, "Keep and share")
    saved = {}
    for kind in SAVED:
        with page.expect_download() as download:
            page.locator(f"#save-{kind}").click()
        saved[kind] = folder / f"saved {kind}"
        download.value.save_as(saved[kind])
        assert saved[kind].stat().st_size > 0
    open_tab(page, "Metrics")
    with page.expect_download() as download:
        page.locator("#me-png").click()
    assert download.value.suggested_filename.endswith(".png")
    return saved


def open_saved(page: Page, saved: dict[str, Path]) -> None:
    """Open the trace that was saved, and a file that is none."""
    open_tab(page, "Keep and share")
    field = page.locator("#keep-files input[type=file]")
    for kind, said in (("picture", "not a trace"), ("trace", "Opened from")):
        field.set_input_files(saved[kind])
        expect(page.locator("#stepper")).to_contain_text(said)

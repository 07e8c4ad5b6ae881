"""Links that reproduce a run: there and back, what does not fit, what cannot be linked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import links
from app.files import picture_file
from app.library import Library
from app.own import YOURS
from app.session import Session
from app.views import Asked
from app.visits import Kept
from core.picture_file import About, read
from core.types import Change, ConfigError, DecodeSettings
from tests.app.asking import first_run
from tests.app.fake import FakeBackend, fake_database

START = Asked("fake", "all", DecodeSettings())


def params(query: str) -> dict[str, str]:
    assert query.startswith("?")
    return dict(parse_qsl(query[1:], keep_blank_values=True, strict_parsing=True))


def parsed(**values: str) -> links.Link:
    link = links.parse_query(values, START)
    assert link is not None
    return link


@given(
    prompt=st.text("abc &=?#%é漢'<", min_size=1, max_size=30).filter(str.strip),
    seed=st.integers(0, 2**32 - 1),
    weight=st.floats(0, 1),
    styles=st.lists(st.sampled_from(["3d", "flat"]), unique=True),
    recorded=st.booleans(),
)
def test_a_query_holds_everything(prompt: str, seed: int, weight: float, styles: list[str], recorded: bool) -> None:
    settings = DecodeSettings(
        seed=seed, retrieval_weight=weight, styles=tuple(styles), method="faid", record_unblended=recorded
    )
    asked = Asked("novice", "unseen", settings)
    prompt = " ".join(prompt.split())
    link = links.parse_query(
        params(About(prompt, asked.model, asked.database, asked.settings, "ab12cd34").link) | {"step": "17"}, START
    )
    assert link == links.Link(prompt, asked, 17, "ab12cd34", ())


def test_a_link_of_before_there_was_a_setting_opens_with_its_default() -> None:
    asked = Asked("fake", "all", DecodeSettings(negative_share=0.0))
    query = params(About("sun", asked.model, asked.database, asked.settings).link)
    assert parsed(**query).asked == asked
    del query["negative_share"]
    assert parsed(**query).asked.settings.negative_share == DecodeSettings().negative_share


def test_what_is_missing_is_as_on_the_page() -> None:
    link = parsed(prompt="sun", seed="5")
    assert link.asked == Asked("fake", "all", DecodeSettings(seed=5))
    assert (link.step, link.codes, link.ignored) == (-1, "", ())


@pytest.mark.parametrize("values", [{}, {"__theme": "dark"}, {"view": "api", "__sign": "x"}])
def test_an_address_without_a_link_is_none(values: dict[str, str]) -> None:
    assert links.parse_query(values, START) is None


def test_unknown_parameters_are_named_and_left_out() -> None:
    assert parsed(prompt="sun", fbclid="x", a="1").ignored == ("a", "fbclid")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"prompt": "x", "seed": "abc"}, "link: seed: got 'abc', expected a whole number"),
        ({"prompt": "x", "seed": "-1"}, "link: seed: got -1"),
        ({"prompt": "x", "retrieval_weight": "nan"}, "link: retrieval_weight: got nan"),
        ({"prompt": "x", "retrieval_weight": "much"}, "link: retrieval_weight: got 'much', expected a number"),
        ({"prompt": "x", "record_unblended": "yes"}, "link: record_unblended: got 'yes', expected true or false"),
        ({"prompt": "x", "method": "<script>"}, "link: method: got '<script>'"),
        ({"prompt": " "}, "link: prompt: got 0 characters"),
        ({"prompt": "x" * 4001}, "link: prompt: got 4001 characters"),
        ({"prompt": "x", "codes": "a" * 2000}, "link: codes: got 2000 characters"),
        ({"prompt": "x", "seed": "9" * 999}, "link: seed: got 9"),
    ],
)
def test_values_that_do_not_fit_are_told_in_one_line(values: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        links.parse_query(values, START)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def kept() -> Kept:
    backend = FakeBackend()
    session = Session.over(Library({"fake": backend}, {"all": fake_database(backend, images=12)}))
    list(session.drawing.draw("ann", "sun", lambda: Asked("fake", "all", DecodeSettings(n_neighbours=8))))
    return first_run(session, "ann")


def test_a_run_is_linked_with_the_hash_of_its_codes(kept: Kept) -> None:
    values = params(links.link_of(kept, ("fake",), ("all",)))
    assert (values["prompt"], values["n_neighbours"], values["codes"]) == ("sun", "8", kept.trace.codes_sha256[:16])


def test_what_no_link_can_say_is_told(kept: Kept) -> None:
    for run, said in [
        (replace(kept, trace=replace(kept.trace, changes=(Change(3, code=1),))), "changed by hand"),
        (replace(kept, trace=replace(kept.trace, given=9)), "began with a picture"),
        (replace(kept, asked=replace(kept.asked, model="far")), "model that is not here"),
        (replace(kept, asked=replace(kept.asked, database="yours")), "pictures that only you have"),
    ]:
        with pytest.raises(ConfigError, match=said):
            links.link_of(run, ("fake",), ("all",))


def test_a_stopped_run_is_linked_without_a_hash(kept: Kept) -> None:
    stopped = replace(kept, trace=replace(kept.trace, steps=kept.trace.steps[:9]))
    assert params(links.link_of(stopped, ("fake",), ("all",)))["codes"] == ""


def test_the_outcome_tells_when_the_codes_differ(kept: Kept) -> None:
    link = parsed(prompt="sun", codes=kept.trace.codes_sha256[:16], odd="1")
    assert links.outcome(link, kept) == "Left out what this page does not know: odd."
    assert "codes differ" in links.outcome(replace(link, codes="0" * 16), kept)
    assert links.outcome(replace(link, codes="", ignored=()), kept) == ""


@pytest.mark.parametrize("end", [".", ")", ">", ",", ").", "!", "…", '"', "'", "*", "»", "]", " ", "\u200b", ".\n"])
def test_what_was_copied_behind_a_link_is_let_go(kept: Kept, end: str) -> None:
    whole = links.link_of(kept, ("fake",), ("all",))
    expected = links.parse_query(params(whole), START)
    assert links.parse_query(params(whole + quote(end)), START) == expected
    stood = links.parse_query(params(f"{whole}&step=12{quote(end)}"), START)
    assert expected is not None
    assert stood == replace(expected, step=12)
    assert links.parse_query(params(f"{whole}{quote(end)}&fbclid=IwAR0"), START) == replace(
        expected, ignored=("fbclid",)
    )


@pytest.mark.parametrize(
    ("prompt", "read"),
    [("pizza.", "pizza"), ("pizza).", "pizza"), ("a cat (big)", "a cat (big)"), ("a cat (big)).", "a cat (big)"),
     ("pizza!", "pizza!"), ('a "cat"', 'a "cat"'), ('a cat"', "a cat"), ("what?", "what?"), ("pizza>", "pizza")],
)  # fmt: skip
def test_a_prompt_at_the_end_of_a_link_keeps_what_was_meant(prompt: str, read: str) -> None:
    assert parsed(prompt=prompt).prompt == read
    assert parsed(prompt=prompt, seed="3").prompt == prompt


@pytest.mark.parametrize("step", ["last", "", "1.5", "-3", "9" * 50, "1e3", "nan"])
def test_a_step_that_is_none_is_the_last(step: str) -> None:
    assert parsed(prompt="sun", step=step).step == -1


def test_a_hash_is_compared_as_far_as_it_goes(kept: Kept) -> None:
    whole = kept.trace.codes_sha256
    for codes in (whole, whole.upper(), whole[:8], whole[:16].upper(), whole[:11], whole[:7], "0" * 7, "xyz" * 4, ""):
        assert links.outcome(parsed(prompt="sun", codes=codes), kept) == ""
    for codes in ("0" * 8, whole[:15] + ("0" if whole[15] != "0" else "1"), "f" * 64):
        assert "codes differ" in links.outcome(parsed(prompt="sun", codes=codes), kept)


def test_parameters_that_mean_nothing_are_no_link() -> None:
    assert links.parse_query({"fbclid": "x" * 5000, "utm_source": "a", "gclid": ""}, START) is None
    link = parsed(prompt="sun", fbclid="x" * 5000)
    assert (link.prompt, link.ignored) == ("sun", ("fbclid",))


def test_a_link_out_of_html_is_read() -> None:
    link = links.parse_query(params("?prompt=sun&amp;seed=5&amp;record_unblended=True"), START)
    assert link is not None
    assert (link.asked.settings.seed, link.asked.settings.record_unblended, link.ignored) == (5, True, ())


def test_saved_pictures_say_how_they_were_made(tmp_path: Path) -> None:
    session = Session.over(Library({"fake": FakeBackend()}, {"all": fake_database(FakeBackend(), images=12)}))
    asked = Asked("fake", "all", DecodeSettings(seed=5, n_neighbours=8))
    kept = session.visits.find("v", list(session.drawing.draw("v", "a disc", lambda: asked))[-1].kept)
    name, data = picture_file(kept)
    (tmp_path / name).write_bytes(data)
    said = read(tmp_path / name)
    assert (said.prompt, said.model, said.database, said.settings) == ("a disc", "fake", "all", asked.settings)
    assert said.codes_sha256 == kept.trace.codes_sha256
    assert said.link == links.link_of(kept, ("fake",), ("all",))
    by_hand = session.visits.find("v", list(session.drawing.branch("v", kept.id, Change(9, code=1)))[-1].kept)
    assert "changed by hand" in links.about_run(by_hand.trace, by_hand.asked).note
    assert links.about_run(kept.trace, replace(asked, database=YOURS)).link == ""

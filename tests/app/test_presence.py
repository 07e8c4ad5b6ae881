"""How the server knows who is there: the address for it, streams that end, and what a page that comes back is shown."""

from __future__ import annotations

import json
import socket
import time
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import gradio as gr
import pytest
from gradio_client import Client

from app.presence import PLACE
from app.returning import NOTHING_LEFT, on_follow, on_return
from app.session import Session
from app.views import Update
from tests.app.asking import PROMPT, defaults, last
from tests.app.serving import served


def said(url: str, body: bytes) -> Any:
    with urlopen(Request(f"{url}/{PLACE}", body, method="POST")) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        return json.load(answer)


def tell(url: str, **what: object) -> Any:
    return said(url, json.dumps(what).encode())


def test_a_tab_that_says_that_it_is_there_gets_a_token_by_which_others_join_it(url: str) -> None:
    first = tell(url, tab="here-1", token="")
    assert tell(url, tab="here-1", token="")["token"] == first["token"]
    assert tell(url, tab="here-2", token=first["token"]) == first
    assert tell(url, tab="here-3", token="")["token"] != first["token"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"nothing", b"[]", b"null", b'{"tab": 1, "token": ""}', b'{"tab": "", "token": ""}', b'{"tab": "a"}',
        b'{"tab": "a", "token": null}', b'{"tab": "%s", "token": ""}' % (b"a" * 201),
        b'{"token": "%s"}' % (b"a" * 10**5),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_words(url: str, body: bytes) -> None:
    with pytest.raises(HTTPError) as refused:
        said(url, body)
    assert refused.value.code == 400
    assert b"reload the page" in refused.value.read()


def test_clients_hold_no_connection_while_they_wait_for_nothing(url: str) -> None:
    with urlopen(f"{url}/config") as answer:
        assert json.load(answer)["connect_heartbeat"] is False


def test_a_script_finds_its_runs_again_after_a_pause(client: Client) -> None:
    run = client.predict(PROMPT, api_name="/generate")[0]
    time.sleep(1)
    again = client.predict(run["run"], 3, api_name="/step")
    assert (again[0] if isinstance(again, (list, tuple)) else again)["position"] == 3


def test_a_tab_that_lost_its_stream_can_have_it_ended() -> None:
    """Otherwise it goes on to take what is meant for the new one, until the network gives it up."""
    with served(pause=0.05) as url:
        host, port = url.removeprefix("http://").split(":")
        fn = next(each["id"] for each in config(url)["dependencies"] if each["api_name"] == "generate")
        body = {"data": [PROMPT, "fake", "all", None, False], "fn_index": fn, "session_hash": "lost"}
        with urlopen(
            Request(f"{url}/gradio_api/queue/join", json.dumps(body).encode(), {"Content-Type": "application/json"})
        ):
            pass
        with socket.create_connection((host, int(port)), timeout=20) as stream:
            stream.sendall(f"GET /gradio_api/queue/data?session_hash=lost HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            heard = stream.recv(65536)
            tell(url, tab="lost", token="", again=True)
            while more := stream.recv(65536):
                heard += more
                if heard.endswith(b"0\r\n\r\n"):
                    break
        assert b"200 OK" in heard
        assert b"process_completed" not in heard


def config(url: str) -> Any:
    with urlopen(f"{url}/config") as answer:
        return json.load(answer)


# ---------------------------------------------------------------------------------------------------------------------
# What a page that comes back is shown


def page_of(who: str, **query: str) -> gr.Request:
    return gr.Request(session_hash=who, query_params=query)


def shown(session: Session, who: str, **query: str) -> list[Any]:
    return list(on_return(session)(page_of(who, **query)))


def test_a_new_visit_is_shown_nothing(session: Session) -> None:
    assert shown(session, "new") == []


def test_a_page_that_comes_back_lists_the_runs_and_shows_the_newest(session: Session) -> None:
    ids = [last(session.drawing.draw("back", prompt, defaults)).kept for prompt in ("sun", "moon")]
    (rail, *_), (_, update, kept) = shown(session, "back")
    assert [run.id for run in rail.runs] == ids
    assert (update.state, update.kept, kept) == ("ready", ids[1], ids[1])


def test_a_link_to_one_of_the_runs_shows_that_one_where_the_link_says(session: Session) -> None:
    first = last(session.drawing.draw("linked", "sun", session_start(session)))
    last(session.drawing.draw("linked", "moon", session_start(session)))
    *_, (_, update, _) = shown(session, "linked", prompt="sun", step="7")
    assert (update.kept, update.step) == (first.kept, 7)


def session_start(session: Session) -> Any:
    return lambda: session.library.start


def test_what_another_link_asks_for_comes_first(session: Session) -> None:
    last(session.drawing.draw("asked", "sun", defaults))
    assert [update for _, update, _ in shown(session, "asked", prompt="stars") if isinstance(update, Update)] == []
    assert len(shown(session, "asked", prompt="stars", seed="none")) == 1  # the rail: why it fails is told elsewhere


def test_what_is_under_way_is_followed_to_its_end(session: Session) -> None:
    begun = session.drawing.draw("under way", "sun", defaults, "gone tab")
    first = next(begun)
    updates = [update for _, update, _ in shown(session, "under way") if isinstance(update, Update)]
    assert {update.run for update in updates} == {first.run}
    assert updates[-1].state == "ready"


def test_what_a_tab_draws_that_is_there_is_left_to_it(session: Session) -> None:
    begun = session.drawing.draw("two", "sun", defaults, "other tab")
    next(begun)
    with session.visitors.present("other tab"):
        assert shown(session, "two") == []
    session.runs.stop("two")
    list(begun)


def missed(session: Session, who: str, known: object) -> list[Update]:
    event = gr.EventData(None, {"known": known})
    return [update for update, _ in on_follow(session)(event, page_of(who))]


def test_a_tab_that_missed_the_end_is_shown_what_was_finished(session: Session) -> None:
    kept = last(session.drawing.draw("missed", "sun", defaults)).kept
    (update,) = missed(session, "missed", [])
    assert (update.state, update.kept) == ("ready", kept)


@pytest.mark.parametrize("known", [None, "x", 3])
def test_a_tab_is_told_when_nothing_is_left(session: Session, known: object) -> None:
    who = f"nothing {known}"
    kept = last(session.drawing.draw(who, "sun", defaults)).kept
    (update,) = missed(session, who, [kept])
    assert (update.state, update.message) == ("error", NOTHING_LEFT)
    assert missed(session, who, known)[0].message == NOTHING_LEFT

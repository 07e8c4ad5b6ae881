"""What is refused before Gradio sees it, and that all else goes on as it came."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from app import doors
from app.doors import CLOSED, MOST_BYTES, Refused, parsed

NUMBER = 10**9


def post(url: str, path: str, body: object, kind: str = "application/json") -> tuple[int, str]:
    """Status and text of an answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urlopen(Request(f"{url}/gradio_api/{path}", content, {"Content-Type": kind})) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


CALL: dict[str, Any] = {"data": ["a disc"], "session_hash": "doors", "fn_index": 0}


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("queue/join", {**CALL, "fn_index": NUMBER}, 404, "event: there is none of this number"),
        ("queue/join", {**CALL, "fn_index": None}, 422, "event: expected its number"),
        ("queue/join", {**CALL, "fn_index": True}, 422, "fn_index: expected int"),
        ("queue/join", {**CALL, "session_hash": 7}, 422, "session_hash: expected str"),
        ("queue/join", {**CALL, "session_hash": "x" * 129}, 422, "session_hash: expected 1 to 128 characters"),
        ("queue/join", {**CALL, "session_hash": ""}, 422, "session_hash: expected 1 to 128 characters"),
        ("queue/join", {**CALL, "simple_format": float("nan")}, 422, "simple_format: expected bool"),
        ("queue/join", {**CALL, "data": {}}, 422, "data: expected a list"),
        ("queue/join", CALL, 422, "data: got 1 values, expected 5"),
        ("queue/join", [], 422, "expected a JSON object"),
        ("queue/join", b"{", 400, "expected JSON"),
        ("queue/join", b"[" * 100_000, 400, "expected JSON"),
        ("queue/join", b'{"data": ["\\ud800"]}', 400, "expected JSON"),
        ("queue/join", {**CALL, "data": ["x" * MOST_BYTES]}, 413, "the most of a call"),
        ("call/nothing", {"data": []}, 404, "endpoint: there is none of this name"),
        ("call/v2/nothing", {}, 404, "endpoint: there is none of this name"),
        ("call/generate", {"data": [{"path": 3, "meta": None}]}, 422, "expected files as they were uploaded"),
        ("component_server", {"component_id": NUMBER, "fn_name": "x"}, 404, "function: there is none"),
        ("component_server", {"component_id": 1, "fn_name": "__init__"}, 404, "function: there is none"),
        ("component_server", {"component_id": [], "fn_name": {}}, 404, "function: there is none"),
        ("cancel", b'{"session_hash": NaN}', 400, "expected JSON"),
        ("deep_link", {}, 404, "nothing here"),
        ("process_recording", {}, 404, "nothing here"),
        ("vibe-edit", {}, 404, "nothing here"),
    ],
)
def test_calls_of_the_wrong_form_are_told_so(url: str, path: str, body: object, status: int, said: str) -> None:
    assert_told = post(url, path, body)
    assert assert_told[0] == status
    assert said in assert_told[1]
    assert "\n" not in assert_told[1]


def test_a_function_of_a_component_takes_json_alone(url: str) -> None:
    assert post(url, "component_server", b"x", "multipart/form-data; boundary=x")[0] == 415


def test_a_wrong_choice_past_the_queue_is_the_callers_mistake(url: str) -> None:
    with urlopen(f"{url}/config") as answer:
        events = json.load(answer)["dependencies"]
    choose = next(event for event in events if event["api_name"] == "choose")
    status, said = post(
        url, "run/choose", {"data": ["no model", "all"], "session_hash": "doors", "fn_index": choose["id"]}
    )
    assert status == 422
    assert "not in the list of choices" in said


@pytest.mark.parametrize(
    "path",
    ["file=http://127.0.0.1/x", "file=https://127.0.0.1/x", "proxy=http://127.0.0.1/", "dev/reload",
     "stream/a/b/1/x.ts", "custom_component/a/client/b/c", "runs"],
)  # fmt: skip
def test_nothing_is_fetched_for_others(url: str, path: str) -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{url}/gradio_api/{path}")
    refused.value.close()
    assert refused.value.code == 404


@pytest.mark.parametrize(
    "path", ["/gradio_api/file=/tmp/gradio/x.png", "/gradio_api/loupe/1/stage/stage.js", "/config", "/"]
)
def test_what_the_page_asks_for_is_open(path: str) -> None:
    assert not CLOSED.match(path)


@pytest.mark.parametrize(("query", "status"), [("page=x", 404), ("page=", 200), ("prompt=page", 200)])
def test_there_is_one_page(url: str, query: str, status: int) -> None:
    try:
        with urlopen(f"{url}/?{query}") as answer:
            told = answer.status
    except HTTPError as refused:
        refused.close()
        told = refused.code
    assert told == status


def test_a_body_arrives_as_it_came_in_pieces() -> None:
    pieces = [{"body": b'{"a"', "more_body": True}, {"body": b": 1}"}]

    async def receive() -> Any:
        return {"type": "http.request", **pieces.pop(0)} if pieces else {"type": "http.disconnect"}

    async def whole_and_again() -> list[Any]:
        body = await doors.whole(receive)
        once_more = doors.again(body, receive)
        return [body, await once_more(), await once_more()]

    with ThreadPoolExecutor(1) as thread:  # since tests in a browser leave a loop that runs in this one
        body, first, then = thread.submit(lambda: asyncio.run(whole_and_again())).result()
    assert body == b'{"a": 1}'
    assert (first["body"], first["more_body"]) == (body, False)
    assert then["type"] == "http.disconnect"


def test_numbers_that_are_none_reach_the_endpoints_which_say_so() -> None:
    assert parsed(b'{"data": [NaN]}', strict=False)["data"]
    with pytest.raises(Refused):
        parsed(b'{"data": [NaN]}', strict=True)

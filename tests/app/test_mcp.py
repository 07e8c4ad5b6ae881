"""The endpoints as tools for agents; skipped where the extra of requirements-mcp.txt is not installed."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from tests.app.serving import served

pytest.importorskip("mcp", reason="no MCP tests: mcp is not installed (requirements-mcp.txt)")

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Tool

Heard = TypeVar("Heard")
TOOLS = {"generate", "step", "branch", "compare", "provenance", "inside", "find_pictures", "find_patches"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(0.0, "usual", "mcp") as address:
        yield f"{address}/gradio_api/mcp/"


def outcome(asked: Coroutine[Any, Any, Heard]) -> Heard:
    """What comes of it; in a thread of its own, as a browser that this process drives may have a loop running."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, asked).result()


def tools(url: str) -> list[Tool]:
    async def ask() -> list[Tool]:
        async with streamable_http_client(url) as (read, write, _), ClientSession(read, write) as agent:
            await agent.initialize()
            assert (await agent.list_resources()).resources == []
            assert (await agent.list_prompts()).prompts == []
            return (await agent.list_tools()).tools

    return outcome(ask())


def call(url: str, tool: str, **arguments: Any) -> CallToolResult:
    async def heard(done: float, total: float | None, message: str | None) -> None:
        """Somebody who wants to hear of progress gets pictures as such."""

    async def ask() -> CallToolResult:
        async with streamable_http_client(url) as (read, write, _), ClientSession(read, write) as agent:
            await agent.initialize()
            return await agent.call_tool(tool, arguments, progress_callback=heard)

    return outcome(ask())


def answer(result: CallToolResult) -> Any:
    assert not result.isError, result.content
    return ast.literal_eval(result.content[0].text)  # type: ignore[union-attr]


def test_just_these_are_tools_and_say_what_they_do(url: str) -> None:
    found = {tool.name: tool for tool in tools(url)}
    assert set(found) == TOOLS
    for tool in found.values():
        assert tool.description is not None
        assert len(tool.description) > 150
        assert all(len(schema["description"]) > 5 for schema in tool.inputSchema["properties"].values())
    assert found["generate"].inputSchema["required"] == ["prompt"]
    assert found["branch"].inputSchema["required"] == ["run", "position", "change"]


def test_an_agent_draws_asks_and_branches(url: str) -> None:
    made = call(url, "generate", prompt="a disc", settings={"seed": 3, "retrieval_weight": 0.8, "gate": 0})
    assert [part.type for part in made.content] == ["text", "image", "text"]
    run = answer(made)
    step = answer(call(url, "step", run=run["run"], position=100))
    assert step["code"] == run["codes"][100]
    dropped = {"weights": [[near["entry"], 0] for near in step["neighbours"][:8]]}
    branch = answer(call(url, "branch", run=run["run"], position=100, change=dropped))
    assert branch["change"] == "8 dropped"
    assert answer(call(url, "provenance", run=branch["run"]))["sources"]
    near = answer(call(url, "find_patches", position=100, run=run["run"]))["patches"]
    assert near[0]["distance"] <= step["neighbours"][0]["distance"]  # the caption filter narrows the run alone
    assert len(answer(call(url, "compare", prompt="a disc"))["runs"]) == 4


def test_an_agent_sees_mistakes_as_one_line(url: str) -> None:
    refused = call(url, "step", run="nope", position=100)
    assert refused.isError
    assert "not kept any more" in refused.content[0].text  # type: ignore[union-attr]

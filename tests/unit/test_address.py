"""What app.py is told to listen on: one line and exit status 2 at once for an address that cannot be served."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.command_line import host_name

ROOT = Path(__file__).parents[2]
ADVICE = "choose another --host or --port"
RANGE = "expected a whole number from 1 to 65535"


def refusal(*arguments: str, **environment: str) -> str:
    """The one line that app.py ends with."""
    command = [sys.executable, "app.py", *arguments]
    variables = {**os.environ, **environment}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize("port", ["99999", "0", "-1", "x", "2²"])
def test_a_port_is_a_number_in_range(port: str) -> None:
    said = f"error: argument --port: got {port!r}, {RANGE}\n"
    assert refusal("--port", port) == said
    assert refusal(GRADIO_SERVER_PORT=port) == said


@pytest.mark.parametrize("host", ["256.0.0.1", "a..b", "[256::fffff]"])
def test_a_host_can_be_listened_on(host: str) -> None:
    said = refusal("--host", host)
    assert said.startswith(f"error: cannot serve on {host}:7860 (")
    assert ADVICE in said


def test_an_ipv6_address_gets_its_brackets() -> None:
    assert [host_name(text) for text in ("::1", "[::1]", "localhost")] == ["[::1]", "[::1]", "localhost"]


def test_a_port_in_use_is_refused_before_anything_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refusal("--port", str(port))
    assert said.startswith(f"error: cannot serve on 127.0.0.1:{port} (")
    assert ADVICE in said

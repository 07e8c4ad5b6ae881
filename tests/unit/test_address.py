"""What app.py is told to listen on: one line and exit status 2 at once for an address that cannot be served."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from argparse import ArgumentParser, ArgumentTypeError
from contextlib import nullcontext
from pathlib import Path

import pytest

from app.command_line import (
    HEARTBEAT,
    NO_ANALYTICS,
    Options,
    add_arguments,
    check_proxies,
    default_port,
    host_name,
    options_of,
    root_path,
    settle,
    write_for_a_moment,
)
from core.types import ConfigError

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


def test_a_port_that_kubernetes_injects_is_not_ours() -> None:
    told = ("", " ", "tcp://10.0.0.5:80", "8000", "x")
    assert [default_port({"GRADIO_SERVER_PORT": port}) for port in told] == ["7860", "7860", "7860", "8000", "x"]
    assert default_port({}) == "7860"


def test_a_folder_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    said = refusal("--port", port, GRADIO_TEMP_DIR=str(tmp_path / "file"))
    assert said.startswith(f"error: temporary files: cannot write to '{tmp_path / 'file'}' (")
    assert said.endswith("set GRADIO_TEMP_DIR to a folder that can be written\n")


def test_a_folder_of_another_user_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> object:
        raise PermissionError(errno.EACCES, "Permission denied")

    write_for_a_moment({"GRADIO_TEMP_DIR": str(tmp_path / "new" / "folder")})
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    monkeypatch.setattr("app.command_line.TemporaryFile", refused)
    monkeypatch.setattr("app.command_line.gettempdir", lambda: str(tmp_path))
    with pytest.raises(ConfigError, match=r"gradio' \(Permission denied\); set GRADIO_TEMP_DIR"):
        write_for_a_moment({})


@pytest.mark.parametrize(
    ("host", "proxies", "fits"),
    [
        ("127.0.0.1", {}, True),
        ("127.0.0.1", {"http_proxy": "http://proxy:3128"}, False),
        ("127.0.0.1", {"all_proxy": "http://proxy:3128"}, False),
        ("127.0.0.1", {"https_proxy": "http://proxy:3128"}, True),
        ("127.0.0.1", {"http_proxy": "http://proxy:3128", "no_proxy": "localhost,127.0.0.1"}, True),
        ("0.0.0.0", {"http_proxy": "http://proxy:3128", "no_proxy": "localhost"}, True),
        ("0.0.0.0", {"http_proxy": "http://proxy:3128", "no_proxy": "example.org"}, False),
        ("127.0.0.1", {"http_proxy": "http://proxy:3128", "no_proxy": "*"}, True),
        ("127.0.0.1", {"all_proxy": "socks5://proxy:1080", "no_proxy": "127.0.0.1"}, False),
        ("127.0.0.1", {"all_proxy": "socks5://proxy:1080", "no_proxy": "*"}, True),
    ],
)
def test_a_proxy_must_not_stand_before_the_page_itself(
    host: str, proxies: dict[str, str], fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in proxies.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("app.command_line.find_spec", lambda _: None)
    with nullcontext() if fits else pytest.raises(ConfigError, match="set no_proxy="):
        check_proxies(host)


def test_a_path_of_a_proxy_is_a_path_or_an_address() -> None:
    told = ("", "/", "/loupe/", " /a/b.c ", "https://example.org", "http://example.org:8443/loupe/")
    assert [root_path(text) for text in told] == [
        "", "", "/loupe", "/a/b.c", "https://example.org", "http://example.org:8443/loupe",
    ]  # fmt: skip
    for text in ("loupe", "//evil.example", "/a b", "ftp://example.org", "/a?b", "javascript:x", "/a\n/b"):
        with pytest.raises(ArgumentTypeError, match="expected a path such as /loupe"):
            root_path(text)
    assert "argument --root-path: got 'loupe'" in refusal(GRADIO_ROOT_PATH="loupe")


def test_variables_of_gradio_that_mean_nothing_here_are_passed_over() -> None:
    harmful = {
        "GRADIO_ALLOWED_PATHS": "/etc", "GRADIO_SHARE": "true", "GRADIO_NUM_PORTS": "abc", "GRADIO_DEBUG": "x",
        "GRADIO_NUM_WORKERS": "x", "GRADIO_SERVER_PORT_80_TCP": "tcp://10.0.0.5:80", "GRADIO_WATCH_DIRS": "/",
    }  # fmt: skip
    followed = {"GRADIO_TEMP_DIR": "/t", "GRADIO_SERVER_NAME": "::", "GRADIO_SERVER_PORT": "tcp://10.0.0.5:80"}
    environment = {"PATH": "/bin", **harmful, **followed}
    assert settle(environment, Options("::", 8000)) == tuple(sorted(harmful))
    assert environment == {
        "PATH": "/bin", **followed, **NO_ANALYTICS,
        "GRADIO_SERVER_PORT": "8000", "GRADIO_HEARTBEAT_INTERVAL": HEARTBEAT,
    }  # fmt: skip


def test_streams_show_signs_of_life_at_a_pace_that_is_one() -> None:
    environment = {"GRADIO_HEARTBEAT_INTERVAL": "2.5"}
    settle(environment, Options("::", 8000))
    assert environment["GRADIO_HEARTBEAT_INTERVAL"] == "2.5"
    for text in ("abc", "0", "-1", "nan", "1e9", "٣"):
        with pytest.raises(ConfigError, match="GRADIO_HEARTBEAT_INTERVAL: got"):
            settle({"GRADIO_HEARTBEAT_INTERVAL": text}, Options("::", 8000))


def chosen(*arguments: str, **environment: str) -> Options:
    parser = ArgumentParser()
    add_arguments(parser)
    return options_of(parser.parse_args(arguments), environment)


def test_counts_and_the_look_of_the_log_are_asked_for_in_two_ways() -> None:
    assert (chosen().metrics, chosen().log, chosen().log_prompts) == (False, "plain", False)
    for yes in (chosen("--metrics", "--log-json"), chosen(ARRAG_METRICS="1", ARRAG_LOG="JSON")):
        assert (yes.metrics, yes.log) == (True, "json")
    assert not chosen(ARRAG_METRICS="0", ARRAG_METRICS_PORT="tcp://10.0.0.5:80").metrics
    assert chosen("--log-prompts").log_prompts
    for name, value in (("ARRAG_METRICS", "perhaps"), ("ARRAG_LOG", "xml")):
        with pytest.raises(ConfigError, match=f"{name}: got '{value}'"):
            chosen(**{name: value})

"""The command line of the page: `python app.py`, and `arrag`, which has all other commands besides.

What they are told, on the command line and by their surroundings, is checked before anything is loaded.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from urllib.request import getproxies_environment, proxy_bypass

from app.ending import end_at_once
from app.logs import Form
from core import __main__ as commands
from core.commands.command import Command
from core.inputs.arguments import program
from core.types import ConfigError

PORT = "7860"
HEARTBEAT = "5"
"""Seconds between signs of life in streams that have nothing to say: proxies cut those that are silent for ten."""

NO_ANALYTICS = {"GRADIO_ANALYTICS_MAX_EVENTS": "1", "GRADIO_ANALYTICS_CACHE_FREQUENCY": "1000000000"}
"""Gradio makes a table of its last 10,000 events after each of them, for a page that is closed here."""

FOLLOWED = ("SERVER_NAME", "SERVER_PORT", "ROOT_PATH", "TEMP_DIR", "HEARTBEAT_INTERVAL", "ANALYTICS_ENABLED")
"""Gradio's own variables that mean something here."""

YES, NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class Options:
    """How to serve the page. mcp: the endpoints as tools for agents, too; root_path: where a proxy has the page, which
    takes that off; metrics: counts for Prometheus; log: how its lines look; log_prompts: whether they hold prompts."""

    host: str
    port: int
    mcp: bool = False
    root_path: str = ""
    metrics: bool = False
    log: Form = "plain"
    log_prompts: bool = False


def main() -> None:
    """`python app.py`: read the options and serve until interrupted."""
    raise SystemExit(program("AR-RAG Loupe: a visual debugger for retrieval in image generation.", add_arguments, run))


def arrag() -> None:
    """The command `arrag`: everything that `python -m core` does, and `serve`."""
    serve = Command("serve", "serve the page until interrupted", add_arguments, run)
    raise SystemExit(commands.main(more=(serve,)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; Gradio's own environment variables set their defaults."""
    host, port = os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1", default_port(os.environ)
    parser.add_argument("--host", type=host_name, default=host, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=port_number, default=port, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--root-path", type=root_path, default=os.environ.get("GRADIO_ROOT_PATH", ""), metavar="PATH",
        help="where a proxy serves the page, such as /loupe, or https://example.org/loupe",
    )  # fmt: skip
    parser.add_argument("--mcp", action="store_true", help="also serve the endpoints as MCP tools, for agents")
    parser.add_argument("--metrics", action="store_true", help="also serve counts for Prometheus, at /metrics")
    parser.add_argument("--log-json", action="store_true", help="write the log as JSON, one line a record")
    parser.add_argument("--log-prompts", action="store_true", help="write what was drawn to the log, too")


def run(chosen: argparse.Namespace) -> int:
    """Serve until the server is asked to end; ConfigError where that is not possible."""
    end_at_once()
    options = options_of(chosen, os.environ)
    try:
        listen_for_a_moment(options.host, options.port)
    except (OSError, TypeError) as error:
        got = f"cannot serve on {options.host}:{options.port} ({error})"
        raise ConfigError(f"{got}; choose another --host or --port") from None
    write_for_a_moment(os.environ)
    check_proxies(options.host)
    passed_over = settle(os.environ, options)

    from app.ui import launch  # noqa: PLC0415  (torch and Gradio load for seconds: only for an address that works)

    launch(options, passed_over)
    return 0


def options_of(chosen: argparse.Namespace, environment: Mapping[str, str]) -> Options:
    """What was chosen, on the command line or by ARRAG_METRICS and ARRAG_LOG; ConfigError for what these cannot be."""
    metrics = environment.get("ARRAG_METRICS", "").strip().lower()
    if metrics not in (*YES, *NO):
        raise ConfigError(f"ARRAG_METRICS: got {metrics!r:.40}, expected 1 or 0")
    log = environment.get("ARRAG_LOG", "").strip().lower() or "plain"
    if log not in ("plain", "json"):
        raise ConfigError(f"ARRAG_LOG: got {log!r:.40}, expected plain or json")
    return Options(
        chosen.host,
        chosen.port,
        chosen.mcp,
        chosen.root_path,
        chosen.metrics or metrics in YES,
        "json" if chosen.log_json or log == "json" else "plain",
        chosen.log_prompts,
    )


def settle(environment: MutableMapping[str, str], options: Options) -> tuple[str, ...]:
    """Leave of Gradio's variables only what means something here, so that none opens folders, or a way in from outside,
    or ends in a traceback; the names of the others. ConfigError for a heartbeat that is none."""
    names = sorted(name for name in environment if name.startswith("GRADIO_"))
    others = tuple(name for name in names if name.removeprefix("GRADIO_") not in FOLLOWED)
    for name in others:
        del environment[name]
    beat = environment.get("GRADIO_HEARTBEAT_INTERVAL") or HEARTBEAT
    if not re.fullmatch(r"\d{1,4}(\.\d+)?", beat, re.ASCII) or float(beat) <= 0:
        raise ConfigError(f"GRADIO_HEARTBEAT_INTERVAL: got {beat!r:.40}, expected seconds, such as {HEARTBEAT}")
    environment["GRADIO_HEARTBEAT_INTERVAL"] = beat
    environment.update(NO_ANALYTICS)
    environment["GRADIO_SERVER_PORT"] = str(options.port)  # Gradio reads it when it is imported, whatever it holds
    return others


def default_port(environment: Mapping[str, str]) -> str:
    """What GRADIO_SERVER_PORT says, unless Kubernetes set it for a service called gradio-server: tcp://10.0.0.5:80."""
    given = environment.get("GRADIO_SERVER_PORT", "").strip()
    return PORT if not given or "://" in given else given


def host_name(text: str) -> str:
    """What --host says, an IPv6 address in brackets as in a URL."""
    return f"[{text}]" if ":" in text and not text.startswith("[") else text


def port_number(text: str) -> int:
    """What --port says, from 1 to 65535."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from 1 to 65535")
    return int(text)


def root_path(text: str) -> str:
    """What --root-path says, without a slash at its end."""
    path = text.strip().rstrip("/")
    if path and not re.fullmatch(r"(https?://[^/\s?#]+)?(/[\w.~%-]+)*", path, re.ASCII):
        expected = "expected a path such as /loupe, or an address such as https://example.org/loupe"
        raise argparse.ArgumentTypeError(f"got {text!r:.80}, {expected}")
    return path


def listen_for_a_moment(host: str, port: int) -> None:
    """Raise OSError, or TypeError for a malformed name, when an address cannot be listened on."""
    name = host.removeprefix("[").removesuffix("]")
    with socket.create_server((name, port), family=socket.AF_INET6 if ":" in name else socket.AF_INET):
        pass


def write_for_a_moment(environment: Mapping[str, str]) -> None:
    """ConfigError when Gradio's folder of temporary files, where pictures and uploads go, cannot be written."""
    remedy = "set GRADIO_TEMP_DIR to a folder that can be written"
    try:
        folder = Path(environment.get("GRADIO_TEMP_DIR") or Path(gettempdir(), "gradio"))
    except OSError:
        raise ConfigError(f"temporary files: got no folder that can be written; {remedy}") from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
    except OSError as error:
        raise ConfigError(f"temporary files: cannot write to {str(folder)!r} ({error.strerror}); {remedy}") from None


def check_proxies(host: str) -> None:
    """ConfigError when Gradio, which asks its own page once whether it is there, would ask a proxy for it."""
    proxies = getproxies_environment()
    socks = [value for scheme, value in proxies.items() if scheme != "no" and value.lower().startswith("socks")]
    if socks and proxies.get("no", "").strip() != "*" and find_spec("socksio") is None:
        raise ConfigError(f"proxy: got {socks[0]}, for which socksio is missing; set no_proxy=* or install socksio")
    name = host.removeprefix("[").removesuffix("]")
    asked = "localhost" if name in ("0.0.0.0", "::") else name
    used = proxies.get("http") or proxies.get("all")
    if used and not proxy_bypass(asked):
        raise ConfigError(f"proxy: got {used}, also for this page itself; set no_proxy={asked}, or no_proxy=*")

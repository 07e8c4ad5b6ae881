"""The command line of the page: `python app.py`, and `arrag`, which has all other commands besides.

What they are told, on the command line and by their surroundings, is checked before anything is loaded.
"""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from urllib.request import getproxies_environment, proxy_bypass

from core import __main__ as commands
from core.commands.command import Command
from core.inputs.arguments import program
from core.types import ConfigError

PORT = "7860"


def main() -> None:
    """`python app.py`: read the options and serve until interrupted."""
    raise SystemExit(program("AR-RAG Loupe: a visual debugger for retrieval in image generation.", add_arguments, run))


def arrag() -> None:
    """The command `arrag`: everything that `python -m core` does, and `serve`."""
    serve = Command("serve", "serve the page until interrupted", add_arguments, run)
    raise SystemExit(commands.main(more=(serve,)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; Gradio's own environment variables set their defaults."""
    host, port = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), default_port(os.environ)
    parser.add_argument("--host", type=host_name, default=host, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=port_number, default=port, help="port to listen on (default: %(default)s)")
    parser.add_argument("--mcp", action="store_true", help="also serve the endpoints as MCP tools, for agents")


def run(chosen: argparse.Namespace) -> int:
    """Serve until interrupted; ConfigError where that is not possible."""
    try:
        listen_for_a_moment(chosen.host, chosen.port)
    except (OSError, TypeError) as error:
        got = f"cannot serve on {chosen.host}:{chosen.port} ({error})"
        raise ConfigError(f"{got}; choose another --host or --port") from None
    write_for_a_moment(os.environ)
    check_proxies(chosen.host)
    os.environ["GRADIO_SERVER_PORT"] = str(chosen.port)  # Gradio reads it when it is imported, whatever it holds

    from app.ui import launch  # noqa: PLC0415  (torch and Gradio load for seconds: only for an address that works)

    launch(host=chosen.host, port=chosen.port, mcp=chosen.mcp)
    return 0


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

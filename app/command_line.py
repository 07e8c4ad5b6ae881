"""What app.py is told on the command line and by its surroundings, checked before anything is loaded."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from urllib.request import getproxies_environment, proxy_bypass

from core.arguments import Parser
from core.types import ConfigError

PORT = "7860"


def main() -> None:
    """Read the options and serve until interrupted; Gradio's own environment variables set their defaults."""
    host, port = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), default_port(os.environ)
    parser = Parser(description="AR-RAG Loupe: a visual debugger for retrieval in image generation.")
    parser.add_argument("--host", type=host_name, default=host, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=port_number, default=port, help="port to listen on (default: %(default)s)")
    parser.add_argument("--mcp", action="store_true", help="also serve the endpoints as MCP tools, for agents")
    options = parser.parse_args()
    try:
        listen_for_a_moment(options.host, options.port)
    except (OSError, TypeError) as error:
        parser.error(f"cannot serve on {options.host}:{options.port} ({error}); choose another --host or --port")
    try:
        write_for_a_moment(os.environ)
        check_proxies(options.host)
    except ConfigError as error:
        parser.error(str(error))
    os.environ["GRADIO_SERVER_PORT"] = str(options.port)  # Gradio reads it when it is imported, whatever it holds

    from app.ui import launch  # noqa: PLC0415  (torch and Gradio load for seconds: only for an address that works)

    launch(**vars(options))


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

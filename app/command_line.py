"""What app.py is told on the command line, checked before anything is loaded."""

from __future__ import annotations

import argparse
import os
import socket

from core.arguments import Parser


def main() -> None:
    """Read the options and serve until interrupted; Gradio's own environment variables set their defaults."""
    host, port = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), os.environ.get("GRADIO_SERVER_PORT", "7860")
    parser = Parser(description="AR-RAG Loupe: a visual debugger for retrieval in image generation.")
    parser.add_argument("--host", type=host_name, default=host, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=port_number, default=port, help="port to listen on (default: %(default)s)")
    parser.add_argument("--mcp", action="store_true", help="also serve the endpoints as MCP tools, for agents")
    options = parser.parse_args()
    try:
        listen_for_a_moment(options.host, options.port)
    except (OSError, TypeError) as error:
        parser.error(f"cannot serve on {options.host}:{options.port} ({error}); choose another --host or --port")

    from app.ui import launch  # noqa: PLC0415  (torch and Gradio load for seconds: only for an address that works)

    launch(**vars(options))


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

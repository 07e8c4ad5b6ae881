"""Serve the page: python app.py --host 127.0.0.1 --port 7860."""

import argparse
import os

from app.ui import launch


def main() -> None:
    """Read the options and serve until interrupted; Gradio's own environment variables set their defaults."""
    host, port = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), os.environ.get("GRADIO_SERVER_PORT", "7860")
    parser = argparse.ArgumentParser(description="AR-RAG Loupe: a visual debugger for retrieval in image generation.")
    parser.add_argument("--host", default=host, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=port, help="port to listen on (default: %(default)s)")
    parser.add_argument("--mcp", action="store_true", help="also serve the endpoints as MCP tools, for agents")
    launch(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()

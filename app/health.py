"""How a server is, at /health, for whoever decides whether to send it visitors or to start it anew."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.request import ProxyHandler, build_opener

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from core import __version__

PLACE: Final = "/health"
SECONDS: Final = 4


class Work(Protocol):
    """What draws, as it is seen by those who only ask how it is, and by who ends it."""

    @property
    def alive(self) -> bool:
        """Whether it can draw."""
        ...

    @property
    def waiting(self) -> int:
        """How many pictures have not begun."""
        ...

    @property
    def drawing(self) -> int:
        """How many pictures are being drawn."""
        ...

    def refuse(self) -> None:
        """Begin nothing any more; those who ask are told."""
        ...

    def hand_back(self) -> None:
        """Pause what is being drawn: who waits for it gets what there is."""
        ...

    def close(self) -> None:
        """Leave nothing behind."""
        ...


@dataclass(slots=True)
class Health:
    """How a server is. models: what it has loaded; ending: it is being stopped, and begins nothing."""

    work: Work
    models: Sequence[str]
    ending: bool = False
    began: float = field(default_factory=time.monotonic)

    def told(self) -> dict[str, object]:
        """All of it, in words and numbers; seconds: since it began to serve."""
        status = "ending" if self.ending else "ok" if self.work.alive else "not drawing"
        return {
            "status": status,
            "version": __version__,
            "models": list(self.models),
            "decoding": self.work.alive,
            "waiting": self.work.waiting,
            "drawing": self.work.drawing,
            "seconds": round(time.monotonic() - self.began, 1),
        }

    def route(self) -> Route:
        """Answers 200 when visitors can come, else 503."""

        async def health(request: Request) -> JSONResponse:
            told = self.told()
            status = 200 if told["status"] == "ok" else 503
            return JSONResponse(told, status, {"Cache-Control": "no-store"})

        return Route(PLACE, health)


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Ask the server of this machine, as a container's health check does: `python -m app.health`; 0 when it is well."""
    address = f"http://127.0.0.1:{environment.get('GRADIO_SERVER_PORT') or '7860'}{PLACE}"
    try:
        with build_opener(ProxyHandler({})).open(address, timeout=SECONDS):
            return 0
    except OSError as error:
        sys.stderr.write(f"{address}: {error}\n")
        return 1


if __name__ == "__main__":
    raise SystemExit(main())

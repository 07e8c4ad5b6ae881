"""Addresses of databases elsewhere, and what brings calls there: http(s)://HOST:PORT and ray://NAME[@HOST:PORT]."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from ...types import ConfigError

TOKEN: Final = "ARRAG_DATABASE_TOKEN"
RAY_NAME: Final = re.compile(r"ray://([A-Za-z0-9][\w.-]{0,63})(?:@([\w.\[\]:-]+:\d{1,5}))?", re.ASCII)
TOKEN_FORM: Final = re.compile(r"[!-~]{8,512}")
SCALE: Final = "install the extra `scale` (pip install 'arrag[scale]', or requirements-scale.txt)"


class Link(Protocol):
    """What brings calls to a database elsewhere. where: its address, for people."""

    where: str

    def ask(self, call: str, body: bytes, of: str = "") -> bytes:
        """The answer to a call; Refused as `Served.answer` raises it, DatabaseError when nobody answers."""
        ...


def is_remote(name: str) -> bool:
    """Whether the name of a database is the address of one elsewhere."""
    return name.startswith(("http://", "https://", "ray://"))


def check_address(name: str) -> None:
    """ConfigError for an address that cannot be one."""
    if name.startswith("ray://"):
        ray_name(name)
        return
    try:
        parts = urlsplit(name)
        good = bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not name.isascii() or not name.isprintable() or " " in name:
        raise ConfigError(f"database: got {name!r:.80}, expected an address such as http://127.0.0.1:8765")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(f"database: got a name or password in the address, expected none; set {TOKEN} instead")
    if parts.query or parts.fragment:
        raise ConfigError(f"database: got {name!r:.80}, expected an address without ? and #")


def ray_name(name: str) -> tuple[str, str]:
    """Name of a database on Ray, and address of the cluster ("" for that of this machine); ConfigError for others."""
    found = RAY_NAME.fullmatch(name)
    if found is None:
        raise ConfigError(f"database: got {name!r:.80}, expected ray://NAME or ray://NAME@HOST:PORT")
    return found[1], found[2] or ""


def link_to(name: str, environment: Mapping[str, str] = os.environ) -> Link:
    """What brings calls to an address; ConfigError where that cannot be, such as without Ray."""
    check_address(name)
    if name.startswith("ray://"):
        link: Link = scale("link").RayLink(*ray_name(name))
        return link
    from .http_client import HttpLink  # noqa: PLC0415  (ssl and http load only where they are used)

    return HttpLink(name, token_of(environment))


def scale(module: str) -> Any:
    """A module of what runs on Ray; ConfigError, with how to get it, where Ray is not installed."""
    try:
        return import_module(f".actors.{module}", __package__)
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ConfigError(
            f"got no Python package 'ray', expected it for databases on several machines; {SCALE}"
        ) from None


def token_of(environment: Mapping[str, str]) -> str:
    """The token that a server asks for, from the environment, "" without one; ConfigError for what cannot be one."""
    return checked_token(environment.get(TOKEN, "").strip(), TOKEN)


def token_in(path: Path) -> str:
    """The token in a file; ConfigError for what cannot be one."""
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--token-file: got {str(path)!r}, which cannot be read ({error}); check the path") from None
    if not text:
        raise ConfigError(f"--token-file: got {str(path)!r}, which is empty, expected a token in it")
    return checked_token(text, str(path))


def checked_token(token: str, where: str) -> str:
    """A token; ConfigError, which does not show it, for one that does not fit into a header or is short."""
    if token and not TOKEN_FORM.fullmatch(token):
        raise ConfigError(
            f"{where}: got a token of another form, expected 8 to 512 visible ASCII characters, no spaces"
        )
    return token

"""What an error of the client of the Hugging Face hub means, in a few words, and what to do about it."""

from __future__ import annotations

import re
from typing import Final

from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

_LOG_IN: Final = "run hf auth login, or set HF_TOKEN"
_OFFLINE: Final = "check the connection, or give a local folder"
_KINDS: Final = (
    (GatedRepoError, "its owner asks for consent first", f"give it on its page, and {_LOG_IN}"),
    (RepositoryNotFoundError, "no such {repository}, or a private one", f"check the name, or {_LOG_IN}"),
    (RevisionNotFoundError, "no such revision", "check what follows the @"),
    (OfflineModeIsEnabled, "not in the cache, and HF_HUB_OFFLINE is set", _OFFLINE),
    (LocalEntryNotFoundError, "not in the cache, and the hub cannot be reached", _OFFLINE),
    (LocalTokenNotFoundError, "no token of yours is on this machine", _LOG_IN),
    (EntryNotFoundError, "a file is not there", "check that {expected} was pushed there"),
)
_STATUS: Final = {
    401: ("you are not logged in, or your token is not known there", _LOG_IN),
    403: ("your token may not do that", "use a token that may"),
    409: ("it was changed at the same time", "try again"),
    413: ("it is too large for the hub", "ask for more room there, or push less"),
    429: ("too many requests", "wait a few minutes, and try again: what was sent is kept"),
}
_TOKEN: Final = re.compile(r"\b(hf_|api_org_|Bearer\s+)[\w.-]+", re.IGNORECASE)
_LETTERS: Final = 200


def why(error: Exception, repository: str, expected: str) -> tuple[str, str]:
    """Why something cannot be had, and what to do; neither shows a token.

    error: the client's own, or one of the libraries that it asks with, or the system's; repository, expected: what was
    asked, such as "dataset repository", and what ought to be there, such as "a database".
    """
    chain = _chain(error)
    for kind, reason, remedy in _KINDS:
        if any(isinstance(link, kind) for link in chain):
            return reason.format(repository=repository), remedy.format(expected=expected)
    for link in chain:
        status = getattr(link.response, "status_code", 0) if isinstance(link, HfHubHTTPError) else 0
        if status in _STATUS:
            return _STATUS[status]
        if isinstance(link, BadRequestError):
            return f"the hub refused it: {_plain(link)}", "mend what it names"
    return f"{type(error).__name__}: {_plain(chain[-1])}", "check the name and the connection, and try again"


def _chain(error: BaseException) -> list[BaseException]:
    """An error and what it was raised from, the last first raised."""
    links = [error]
    while (cause := links[-1].__cause__) is not None and cause not in links:
        links.append(cause)
    return links


def _plain(error: BaseException) -> str:
    """What an error says, in one short line, without anything that looks like a token."""
    return _TOKEN.sub(r"\1***", " ".join(str(error).split()))[:_LETTERS]

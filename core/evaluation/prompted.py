"""Where a benchmark's pictures come from: the subject draws them for each prompt, or they lie in folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ..types import ConfigError
from .drawing import draw, methods_of, settings_of
from .given import Shot, arm_of, folder_of, is_run, run_arms
from .suite import Drawn, Subject

SAMPLES = 4
"""Pictures of a prompt, in GenEval and DPG-Bench."""

OPTION = "pictures"


class Pictures(Protocol):
    """Gives a prompt's pictures by arm, or for each of them the reason why there is none."""

    def of(self, key: str, prompt: str) -> dict[str, list[Drawn | str]]:
        """Of the item `key`."""
        ...


class Drawing:
    """Draws them, the same seeds with each method."""

    def __init__(self, subject: Subject, methods: str, count: int) -> None:
        self._subject, self._count = subject, count
        self._arms = settings_of(subject, methods_of(methods, subject))

    def of(self, key: str, prompt: str) -> dict[str, list[Drawn | str]]:
        """ConfigError for a prompt that the model does not take."""
        return {arm: [*draw(self._subject, prompt, settings, self._count)] for arm, settings in self._arms.items()}


class Folders:
    """Reads them; arms: what reads the n-th picture of an item."""

    def __init__(self, subject: Subject, arms: Mapping[str, Callable[[str, int], Shot]], count: int) -> None:
        self._settings, self._arms, self._count = subject.settings, arms, count

    def of(self, key: str, prompt: str) -> dict[str, list[Drawn | str]]:
        """See `Pictures`; they are not linkable, as nobody knows what drew them."""
        return {
            arm: [self._drawn(read(key, n), prompt) for n in range(self._count)] for arm, read in self._arms.items()
        }

    def _drawn(self, shot: Shot, prompt: str) -> Drawn | str:
        return shot if isinstance(shot, str) else Drawn(shot, prompt, self._settings, linkable=False)


def arms_in(
    folders: Sequence[str],
    suite: str,
    prompts: Mapping[str, str],
    published: Callable[[Path], Callable[[str, int], Shot]],
) -> dict[str, Callable[[str, int], Shot]]:
    """What reads the pictures of folders, by arm: of runs of `suite`, and of folders in the benchmark's own layout.

    prompts: by key of the item; published: makes a reader of a folder of the second kind. A run's arms keep their
    names, with the folder's before them where there are several folders. Raises ConfigError for two arms of one name.
    """
    found: dict[str, Callable[[str, int], Shot]] = {}
    for given in folders:
        folder = folder_of(given, OPTION)
        arms: dict[str, Callable[[str, int], Shot]] = {}
        if is_run(folder):
            before = f"{arm_of(folder)[-24:]}-" if len(folders) > 1 else ""
            for arm, each in run_arms(folder, OPTION, suite, prompts).items():
                arms[f"{before}{arm}"[:40]] = each.shot
        else:
            arms[arm_of(folder)] = published(folder)
        if double := [arm for arm in arms if arm in found]:
            raise ConfigError(f"{OPTION}: got two folders for {double[0]}; expected other names, rename one of them")
        found |= arms
    return found


def shown(drawn: Mapping[str, Sequence[Drawn | str]]) -> dict[str, list[Drawn]]:
    """Those that are there."""
    return {arm: [each for each in ones if not isinstance(each, str)] for arm, ones in drawn.items()}

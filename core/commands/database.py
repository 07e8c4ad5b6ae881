"""What may be said behind `database`: a word for what is to be done with one, and what that word takes."""

from __future__ import annotations

import argparse

from ..inputs.arguments import Parser
from .command import Command
from .databases.build import BUILD
from .databases.compact import COMPACT
from .databases.info import INFO
from .databases.merge import MERGE
from .databases.prune import PRUNE
from .databases.pull import PULL
from .databases.push import PUSH
from .databases.sample import SAMPLE
from .databases.search import SEARCH
from .databases.serve import SERVE
from .databases.stats import STATS
from .databases.tune import TUNE
from .databases.verify import VERIFY

ACTIONS = (
    INFO,
    BUILD,
    MERGE,
    COMPACT,
    TUNE,
    PRUNE,
    SAMPLE,
    STATS,
    VERIFY,
    SEARCH,
    PUSH,
    PULL,
    SERVE,
)
"""An action is a file in databases/, which declares its arguments, and one in work/databases/, which does the work."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions, and the arguments of each."""
    words = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
    for action in ACTIONS:
        added = words.add_parser(action.name, help=action.help, description=f"database {action.name}: {action.help}")
        action.add_arguments(added)
        added.set_defaults(act=action.run)


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen; its exit status."""
    status: int = chosen.act(chosen)
    return status


DATABASE = Command("database", "build, describe, search and look after patch databases", add_arguments, run)

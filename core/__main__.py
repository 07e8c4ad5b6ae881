"""Draw a picture with retrieval, look into what was recorded, build databases, measure; see --help of each command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from .commands.bench import BENCH
from .commands.command import Command
from .commands.database import DATABASE
from .commands.evaluate import EVALUATE
from .commands.generate import GENERATE, prompt_behind
from .commands.trace import TRACE
from .inputs.arguments import Parser, finish

COMMANDS = (GENERATE, DATABASE, TRACE, EVALUATE, BENCH)


def main(arguments: Sequence[str] | None = None, more: Sequence[Command] = ()) -> int:
    """Run one command; 0 when it worked, 2 and one line on stderr when the user can mend it.

    arguments: those of the process by default; more: commands from above, beside the ones here.
    """
    parser = Parser(prog=program_name(), description=__doc__)
    words = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    for command in (*COMMANDS, *more):
        added = words.add_parser(command.name, help=command.help, description=f"{command.name}: {command.help}")
        command.add_arguments(added)
        added.set_defaults(run=command.run)
    chosen = parser.parse_args(prompt_behind(sys.argv[1:] if arguments is None else arguments))
    return finish(chosen.run, chosen)


def program_name() -> str:
    """What this was called by: the name of an installed command, or `python -m` and that of the package."""
    called = Path(sys.argv[0])
    return f"python -m {__package__}" if called.name == "__main__.py" else called.name


if __name__ == "__main__":
    raise SystemExit(main())

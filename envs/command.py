"""What every command of the environments does: it describes itself, and answers a user's mistake with one line."""

import argparse
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from reasoning_arena.envs.errors import ArenaError

P = ParamSpec("P")


def parser_of(name: str, doc: str | None) -> argparse.ArgumentParser:
    """A parser for the module of that name, described by the first line of its docstring."""
    description = (doc or "").partition("\n")[0]
    return argparse.ArgumentParser(prog=f"python -m reasoning_arena.envs.{name}", description=description)


def command(main: Callable[P, int]) -> Callable[P, int]:
    """A command that prints an ArenaError or an OSError in one line and returns 2, the exit status of misuse."""

    @wraps(main)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return main(*args, **kwargs)
        except (ArenaError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2

    return guarded

"""How a command ends: a mistake of the user's is one line, never a traceback."""

import sys
import threading
from collections.abc import Callable

import torch
from reasoning_arena.agents.errors import AgentError
from reasoning_arena.envs import ArenaError
from reasoning_arena.train import distributed
from reasoning_arena.train.errors import TrainingError


def exit_status(run: Callable[[], None]) -> int:
    """Run a command: 0 when it is done, 2 when it cannot be done as asked, 130 when it was interrupted.

    Args:
        run: the command; a KeyboardInterrupt with an argument names the run folder in which everything is saved.
    """
    which = distributed.process_name()
    usual, threading.excepthook = threading.excepthook, _unless_a_disk_fails
    try:
        run()
    except (ArenaError, AgentError, TrainingError, OSError) as error:
        _say(f"{which}error: {error}")
        return 2
    except RuntimeError as error:
        if not (isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)):
            raise
        reason = str(error).splitlines()[0]
        _say(f"{which}error: out of memory, try a smaller --batch-size ({reason})")
        return 2
    except KeyboardInterrupt as stop:
        if not which:
            _say(f"interrupted; go on with --resume {stop.args[0]}" if stop.args else "interrupted")
        return 130
    finally:
        threading.excepthook = usual
    return 0


def _unless_a_disk_fails(failed: threading.ExceptHookArgs) -> None:
    """What TensorBoard's thread cannot write is raised again where it is handed more."""
    if not issubclass(failed.exc_type, OSError):
        threading.__excepthook__(failed)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")  # in one piece: print writes twice, and other processes' lines come between

"""Being asked to stop: Ctrl-C, and the signal that schedulers send."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def interrupts(*, silent: bool) -> Iterator[list[int]]:
    """A list that fills when the process is asked to stop; a second request stops it at once.

    Args:
        silent: do not say so.
    """
    received: list[int] = []

    def note(number: int, frame: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        if silent:
            return
        with suppress(RuntimeError):  # the signal came while something was being written there
            print("\nstopping after this step or evaluation, with everything saved (again: at once)", file=sys.stderr)

    previous = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            previous[number] = signal.signal(number, note)
        except ValueError:  # not in the main thread: whoever runs it there handles its own signals
            break
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

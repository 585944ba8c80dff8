"""Ctrl-C and SIGTERM as requests: the step in progress is finished before anything stops."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any, TypeVar

Item = TypeVar("Item")


class Stopped(Exception):
    """Raised where a requested stop takes effect."""


class StopRequest:
    """Context in which the first Ctrl-C or SIGTERM sets `signal`, for `check` to act upon.

    A second Ctrl-C interrupts as usual; SIGTERM may come again and changes nothing. Outside the
    main thread, where Python takes no signals, the context does nothing.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def check(self) -> None:
        """Stop here if that was requested.

        Raises:
            Stopped: it was.
        """
        if self.signal is not None:
            raise Stopped

    def between(self, items: Iterable[Item]) -> Iterator[Item]:
        """Hand on `items`, with a `check` before each."""
        for item in items:
            self.check()
            yield item

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = signal.Signals(number)
            again = "; press Ctrl-C again to stop at once" if number == signal.SIGINT else ""
            print(f"\n{self.signal.name}: stopping after this step{again}", file=sys.stderr)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt


def leave_signals_to_the_parent() -> None:
    """For processes that load data, which the main one needs for the step it finishes.

    Terminals and schedulers send their signals to all processes of a job. Ctrl-C is ignored, and so
    is the first SIGTERM; the next one ends the process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_DFL))

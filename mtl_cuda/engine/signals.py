"""Ctrl-C and SIGTERM as requests: the step in progress is finished before anything stops."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any, TypeVar, cast

from mtl_cuda.engine.distributed import ALONE, Ranks

Item = TypeVar("Item")

_SECONDS_TO_STAY = 60
_NO_MORE = object()


class Stopped(Exception):
    """Raised where a requested stop takes effect."""


class StopRequest:
    """Context in which the first Ctrl-C or SIGTERM sets `signal`, for `check` to act upon.

    A second Ctrl-C interrupts as usual; SIGTERM may come again and changes nothing. Outside the
    main thread, where Python takes no signals, the context does nothing.

    Args:
        ranks: that train together; a signal to one of them stops all, at the same step.
    """

    def __init__(self, ranks: Ranks = ALONE) -> None:
        self._ranks = ranks
        self.signal: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def check(self) -> None:
        """Stop here if that was requested, anywhere; all processes must come here.

        Raises:
            Stopped: it was.
        """
        self._agree()

    def between(self, items: Iterable[Item]) -> Iterator[Item]:
        """Hand on `items`, with a `check` before each.

        Processes may have different numbers of items: who has no more goes on agreeing until nobody
        has one.
        """
        iterator = iter(items)
        while True:
            item = next(iterator, _NO_MORE)
            if not self._agree(has_more=item is not _NO_MORE):
                return
            if item is not _NO_MORE:
                yield cast(Item, item)

    def _agree(self, has_more: bool = False) -> bool:
        """Whether any process has more; raises `Stopped` where any was told to stop."""
        number, more = self._ranks.largest([self.signal or 0, has_more])
        if number:
            self.signal = signal.Signals(number)
            raise Stopped
        return bool(more)

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
    is the first SIGTERM; the next one ends the process, and time does: a main process that fails
    sends SIGTERM once and waits.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stay_a_while)


def _stay_a_while(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))  # no failure to be told of
    signal.alarm(_SECONDS_TO_STAY)

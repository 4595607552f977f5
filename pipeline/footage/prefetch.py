"""Run a producer ahead of its consumer in one thread, never further than a fixed number of items."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator
from contextlib import closing
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Prefetch(Generic[Item]):
    """Iterator over the generator `source`, which runs in a thread of its own.

    At most `depth` finished items wait; the producer may hold one more that it is working on or cannot yet hand over,
    the consumer the one it received, so depth + 2 items exist at any time. An exception in the source is raised in the
    consumer after the items before it. `close` ends the thread, also midway, and waits for it.
    """

    def __init__(self, source: Generator[Item, None, None], depth: int, name: str) -> None:
        if depth < 1:
            raise ValueError(f"depth: expected at least 1, got {depth}")
        self.most_waiting = 0
        self._source = source
        self._depth = depth
        self._waiting: deque[Item] = deque()
        self._error: BaseException | None = None
        self._finished = False
        self._stopped = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._produce, name=name, daemon=True)
        self._thread.start()

    def __iter__(self) -> Prefetch[Item]:
        return self

    def __next__(self) -> Item:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._finished or self._stopped)
            if self._waiting and not self._stopped:
                item = self._waiting.popleft()
                self._changed.notify_all()
                return item
            error, self._error = self._error, None
        if error is not None and not self._stopped:
            raise error
        raise StopIteration

    def close(self) -> None:
        """Stop the producer at its next item, drop what waits, and wait until the thread has ended."""
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join()

    def _produce(self) -> None:
        try:
            with closing(self._source):
                for item in self._source:
                    if not self._hand_over(item):
                        break
                    del item  # or the thread would keep it alive while it makes the next
        except BaseException as error:  # carried over to the consumer's thread, whatever it is
            self._error = error
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def _hand_over(self, item: Item) -> bool:
        """Wait for room and queue the item; False where the consumer has gone."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < self._depth or self._stopped)
            if self._stopped:
                return False
            self._waiting.append(item)
            self.most_waiting = max(self.most_waiting, len(self._waiting))
            self._changed.notify_all()
            return True

"""How does the engine wait for new events?  Its subscription, woken by whoever reports a commit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from eventsourcing.persistence import ApplicationRecorder, ListenNotifySubscription


class CommitSubscription(ListenNotifySubscription[ApplicationRecorder]):
    """The engine's subscription over a store; ``woken`` is the store's list of whom it wakes."""

    def __init__(
        self,
        recorder: ApplicationRecorder,
        gt: int | None,
        topics: Sequence[str],
        woken: list[Callable[[int], None]],
    ) -> None:
        """Wait for commits from now on."""
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._woken = woken
        woken.append(self._wake)
        # What was committed between the first look and this line has woken nobody.
        self._has_been_notified.set()

    def _wake(self, _position: int) -> None:
        self._has_been_notified.set()

    def stop(self) -> None:
        """Wait for nothing any more."""
        with contextlib.suppress(ValueError):
            self._woken.remove(self._wake)
        super().stop()

"""Who keeps the signed log up with the facts?  A thread that steps the tree and publishes it.

Every process may run one.  One that finds that another was first leaves it the work for a while;
one that was told only to watch looks at what the others publish.  Whatever goes wrong is said once,
in a sentence, and tried again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from ledger import errors
from ledger.store import QueueFull, Store
from ledger.store.tree import Published
from ledger.transparency.key_file import exposed
from ledger.transparency.publisher import Publisher
from ledger.transparency.sequencer import STEP_MAX, Gap, Overtaken, step

CYCLE_S: Final = 0.5
"""How long, at least, from one checkpoint to the next: what comes meanwhile goes together."""
POLL_S: Final = 1.0
"""How often it looks unasked, and how long it leaves the work to another process."""
FULL_S: Final = 0.05
STEP_SHARED: Final = 500
"""Events in one step where requests are answered by the same process."""
AGAIN_S: Final = 10.0
AGAIN_S_MAX: Final = 320.0
"""How soon witnesses that were away are asked again, and how seldom at last, while nothing new is
published."""
LOOK_S: Final = 0.02
"""How long who waits for a checkpoint waits between two looks."""

_log = logging.getLogger("ledger.log")


@dataclass(frozen=True, slots=True)
class Standing:
    """What this process knows of the log: what stopped it in a sentence with a code, if anything.

    ``rolled_back`` is set while the database holds less or other than was published.
    """

    trouble: str | None = None
    code: str | None = None
    rolled_back: errors.LogRolledBack | None = None


class Keeper:
    """Steps the tree of a store and publishes its checkpoints, in a thread of its own."""

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        *,
        cycle_s: float = CYCLE_S,
        again_s: float = AGAIN_S,
    ) -> None:
        """Do nothing before :meth:`check`, :meth:`start` or :meth:`catch_up`."""
        self.published: Callable[[Published], None] = lambda _published: None
        """Told of each checkpoint that this process publishes."""
        self.standing = Standing()
        self.publisher = publisher
        self._store = store
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._cycle_s = cycle_s
        self._again_s = again_s
        self._yielding = 0.0
        self._threads: list[threading.Thread] = []

    # ------------------------------------------------------------ what others ask

    def may_append(self) -> None:
        """Refuse LogRolledBack while the database is not the one that was published."""
        if self.standing.rolled_back is not None:
            raise self.standing.rolled_back

    def check(self) -> None:
        """See whether the database is the one that was published; what is wrong is kept."""
        try:
            self.publisher.check()
        except errors.Refusal as refusal:
            self._trouble(refusal)

    async def covered(self, position: int, limit_s: float) -> Published | None:
        """Wait until a published checkpoint covers a position; None if none does in time."""
        deadline = time.monotonic() + limit_s
        while True:
            found = await asyncio.to_thread(self._store.tree.published)
            if found is not None and found.size >= position:
                return found
            left = deadline - time.monotonic()
            if left <= 0 or self._stopping.is_set():
                return None
            await asyncio.sleep(min(LOOK_S, left))

    # ------------------------------------------------------------ the thread

    def start(self, *, yielding: float = 1.0, working: bool = True) -> None:
        """Keep up from now on; rest ``yielding`` times as long as was worked, 0 in a process apart.

        Without ``working`` it only looks whether the database is still the one that was published.
        """
        self._yielding = yielding
        if warning := exposed(self.publisher.key_path):
            _log.warning("%s", warning)
        if working:
            self._store.subscribe_commits(lambda _position: self._wake.set())
        for work in (self._work, self._ask_again) if working else (self._watch,):
            self._threads.append(threading.Thread(target=work, name="log", daemon=True))
            self._threads[-1].start()

    def stop(self) -> None:
        """Finish the step at hand and end the threads."""
        self._stopping.set()
        self._wake.set()
        for thread in self._threads:
            thread.join()

    def catch_up(self) -> Published | None:
        """Bring the tree to the end of the log and publish it, in the calling thread.

        Returns the latest checkpoint.  Refuses as ``Publisher.publish`` does.
        """
        self.publisher.check()
        while True:
            try:
                if not step(self._store.tree):
                    break
            except Overtaken:
                continue
        if self.publisher.publish(wait=True) is None:
            self.publisher.cosign()
        return self._store.tree.published()

    def _watch(self) -> None:
        while not self._stopping.wait(POLL_S):
            self._guarded(self._looked)

    def _looked(self) -> float:
        self.publisher.check()
        return POLL_S

    def _work(self) -> None:
        while not self._stopping.is_set():
            # Cleared before looking: a commit that lands while we look wakes us once more.
            self._wake.clear()
            began = time.monotonic()
            pause = self._guarded(self._cycle)
            if pause:
                self._stopping.wait(pause)
            else:
                self._wake.wait(POLL_S)
            self._stopping.wait(max(0.0, began + self._cycle_s - time.monotonic()))

    def _ask_again(self) -> None:
        """Ask for missing cosignatures of a checkpoint that has stood for a while, ever less often.

        In a thread of its own, so that a witness that dawdles holds up no checkpoint.
        """
        pause, seen = self._again_s, 0
        while not self._stopping.wait(pause):
            try:
                latest = self._store.tree.published()
                size = latest.size if latest else 0
                missing = size == seen and self.publisher.cosign()
            except (errors.Refusal, QueueFull):
                # The other thread meets the same, and says it.
                missing, size = True, seen
            except Exception:  # noqa: BLE001 - the thread outlives whatever it is
                _log.exception("The witnesses could not be asked again; it is tried later.")
                missing, size = True, seen
            pause = min(2 * pause, AGAIN_S_MAX) if missing else self._again_s
            seen = size

    def _cycle(self) -> float:
        """Take in what there is and publish it; returns for how long to leave it alone."""
        self.publisher.check()
        size = STEP_SHARED if self._yielding else STEP_MAX
        since = time.monotonic()
        while not self._stopping.is_set():
            began = time.thread_time()
            taken = step(self._store.tree, size)
            behind = taken == size
            if not behind or time.monotonic() - since >= self._cycle_s:
                published = self.publisher.publish()
                if published is not None:
                    self.published(published)
                since = time.monotonic()
            if not behind:
                break
            self._stopping.wait((time.thread_time() - began) * self._yielding)
        return 0.0

    def _guarded(self, work: Callable[[], float]) -> float:
        """Do something and keep what is wrong, or that nothing is; returns how long to pause."""
        try:
            pause = work()
        except Overtaken:
            return POLL_S
        except QueueFull:
            return FULL_S
        except (errors.Refusal, Gap) as refusal:
            self._trouble(refusal)
            return POLL_S
        except Exception:  # noqa: BLE001 - the thread outlives whatever it is
            _log.exception("The log could not be stepped; it is tried again.")
            self.standing = replace(self.standing, trouble="The log could not be stepped.")
            return POLL_S
        if self.standing != Standing():
            # As loud as the trouble was, whose end it is.
            _log.warning("The log goes on.")
            self.standing = Standing()
        return pause

    def _trouble(self, refusal: Exception) -> None:
        sentence = refusal.detail if isinstance(refusal, errors.Refusal) else f"{refusal}."
        code = refusal.code if isinstance(refusal, errors.Refusal) else "log-altered"
        if sentence != self.standing.trouble:
            _log.error("%s", sentence)
        rolled_back = self.standing.rolled_back
        if isinstance(refusal, errors.LogRolledBack):
            rolled_back = refusal
        elif isinstance(refusal, errors.LogStopped) and self.publisher.stopped:
            rolled_back = errors.LogRolledBack(sentence)
        elif not isinstance(refusal, errors.Unavailable):
            rolled_back = None
        self.standing = Standing(sentence, code, rolled_back)

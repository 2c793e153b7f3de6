"""When is a checkpoint signed and published, and when never?  After the tree has grown, in order.

The last checkpoint that was published is remembered outside the database.  Before another is signed
the tree has to contain it, and before it is published whoever else watches is asked.  A database
that holds less than was published, because an older copy of it was restored, is never signed: to
sign it would be to contradict oneself for all to see.  Where the memory was restored with it, the
witnesses know: what they hold is looked at before anything is signed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ledger import errors
from ledger.store.tree import OtherRoot, Published, Tree, TreeHead
from ledger.transparency import merkle
from ledger.transparency.key_file import KeyFile
from ledger.transparency.merkle import BadProof, BadTile, Frontier
from ledger.transparency.notes import (
    BadNote,
    Checkpoint,
    Note,
    Signature,
    SigningKey,
    open_checkpoint,
    parse_note,
)
from ledger.transparency.reading import TreeReader
from ledger.vocabulary import now

ANEW: Final = "ledger log init --origin NEW begins a new log that names this one"


@dataclass(frozen=True, slots=True)
class Heard:
    """What the witnesses said of a checkpoint."""

    cosignatures: tuple[Signature, ...] = ()
    troubles: dict[str, str] = field(default_factory=dict)
    """By witness: why there is no cosignature of it, in a sentence."""
    refused: bool = False
    """Whether a witness says that it has seen more, or another history."""
    shown: dict[str, bytes] = field(default_factory=dict)
    """By witness that refused: the checkpoint that it shows for a reason, as it came."""
    enough: bool = True
    """Whether the policy is content."""


Ask = Callable[[Note, Callable[[int], Sequence[bytes]]], Heard]
"""Takes a signed checkpoint and what proves that it continues an earlier size."""
Look = Callable[[str], Mapping[str, bytes]]
"""Takes a log's name; returns by witness what it holds of that log, as it came.

A witness that has answered once need not be among those that are returned later.
"""


Begun = Callable[[str], bool]
"""Takes a log's name; whether a fact says that the log goes on under it."""


def ask_nobody(_note: Note, _prove: Callable[[int], Sequence[bytes]]) -> Heard:
    """Hear nothing, which is enough where no witness was asked for."""
    return Heard()


def look_nowhere(_origin: str) -> Mapping[str, bytes]:
    """See nothing, which is all there is where no witness was asked for."""
    return {}


def begun_anyhow(_origin: str) -> bool:
    """Take any name for the one under which the log goes on."""
    return True


class Publisher:
    """Signs and publishes the checkpoints of one tree, in the name of one key."""

    def __init__(  # noqa: PLR0913 - what it signs, with what, and whom it asks
        self,
        tree: Tree,
        files: KeyFile,
        *,
        origin: str | None = None,
        ask: Ask = ask_nobody,
        again: Ask = ask_nobody,
        look: Look = look_nowhere,
        begun: Begun = begun_anyhow,
    ) -> None:
        """Publish what ``tree`` holds with the key in ``files``.

        ``origin`` is the name that the key has to have, if it matters.  ``again`` asks those that
        have not cosigned, maybe in another thread than ``ask``.
        """
        self.reader = TreeReader(tree)
        self.heard = Heard()
        """What the witnesses said last."""
        self._tree = tree
        self._files = files
        self._origin = origin
        self._ask = ask
        self._again = again
        self._look = look
        self._begun = begun
        self._looked = False

    @property
    def key_path(self) -> Path:
        """Where the key is."""
        return self._files.path

    @property
    def stopped(self) -> bool:
        """Whether the log has stopped for good, because the database is not what was published."""
        return self._files.stopped() is not None

    def key(self) -> SigningKey | None:
        """Return the key, None if there is none; refuses LogKeyUnusable for one of another log."""
        key = self._files.read()
        if key is not None and self._origin is not None and key.name != self._origin:
            raise errors.LogKeyUnusable(
                f"The key in {self._files.path} is that of {key.name}, and not of {self._origin} "
                "as LEDGER_LOG_ORIGIN says."
            )
        return key

    def check(self) -> None:
        """Refuse LogRolledBack, LogStopped or LogKeyUnusable unless the log may go on.

        That is cheap enough to be done every second: it compares sizes, not hashes.
        """
        last, asked = self._files.remembered(), self._files.asked()
        for each in (last[0] if last else None, asked):
            if each is not None:
                self._not_shorter(each, self._tree.head())
        self._not_stopped()

    def publish(self, *, wait: bool = False) -> Published | None:
        """Publish a checkpoint of what the tree holds; None when there is nothing to publish.

        Also None where there never was a key, and while another has the turn, unless it is to
        ``wait`` for its own.  Refuses LogRolledBack, LogStopped, LogKeyUnusable, and
        WitnessesMissing when the policy is not content.
        """
        key = self.key()
        if key is None:
            self.check()
            self._files.not_lost()
            return None
        with self._files.turn(wait=wait) as mine:
            if not mine:
                return None
            self._not_stopped()
            # In this order: what is remembered was in the tree by then.
            remembered = self._files.remembered()
            head = self._tree.head()
            if remembered is not None and remembered[0].origin == key.name:
                # Whatever the database says was published later: it may have been put there.
                self._contained(remembered[0], head)
            last = self._last(key, remembered)
            asked = self._files.asked()
            if asked is not None and (asked == last or asked.origin != key.name):
                asked = None
            for each in filter(None, (last, asked)):
                self._contained(each, head)
            grown = head.size != (last.size if last else 0)
            if grown or not self._looked:
                self._compare(key, self._look(key.name))
                self._looked = True
            return self._sign(key, head) if grown else None

    def cosign(self) -> bool:
        """Ask for the cosignatures that the last checkpoint lacks; whether any is missing still.

        May run while another thread or process publishes, and holds nobody up.  Refuses LogStopped,
        LogKeyUnusable.
        """
        key, latest = self.key(), self._tree.published()
        if self._again is ask_nobody or key is None:
            return False
        if latest is None or _of(latest, key) is None:
            return False
        note = parse_note(latest.note)
        heard = self._again(note, lambda old: self.reader.consistency(old, latest.size))
        self._compare(key, heard.shown)
        if heard.cosignatures:
            # Not kept beside the key: who has only what lies there asks once more.
            whole = bytes(Note(note.text, (*note.signatures, *heard.cosignatures)))
            self._tree.cosign(latest.size, latest.note, whole)
        self.heard = heard
        return bool(heard.troubles)

    def _last(
        self, key: SigningKey, remembered: tuple[Checkpoint, bytes] | None
    ) -> Checkpoint | None:
        """Return the last checkpoint that anybody can have seen, and have it on both sides."""
        latest = self._tree.published()
        stored = None if latest is None else _of(latest, key)
        if remembered is None:
            if latest is not None and stored is not None:
                self._files.remember(latest.note)
            elif latest is not None and not self._begun(key.name):
                raise errors.LogKeyUnusable(
                    f"The key in {self._files.path} is that of {key.name}, and another log has "
                    f"signed the last checkpoint of this ledger: give it the key of that one, or "
                    f"else {ANEW}."
                )
            return stored
        last, note = remembered
        if last.origin != key.name:
            raise errors.LogKeyUnusable(
                f"What is remembered beside {self._files.path} was published by {last.origin}, "
                f"and the key is that of {key.name}: {ANEW}."
            )
        if latest is not None and stored is not None and stored.size > last.size:
            # Published, but a power cut took back the name of what is remembered.
            self._files.remember(latest.note)
            return stored
        if stored is None or stored.size < last.size:
            # Published, but a crash came before the database heard of it.
            self._keep(last, note)
        return last

    def _sign(self, key: SigningKey, head: TreeHead) -> Published:
        size = head.size
        checkpoint = Checkpoint(key.name, size, _root(head))
        note = checkpoint.signed(key)
        if self._ask is not ask_nobody:
            # Whether or not they cosign it, somebody has then seen what was signed.
            self._files.ask(bytes(note))
        self.heard = heard = self._ask(note, lambda old: self.reader.consistency(old, size))
        self._compare(key, heard.shown)
        if heard.refused or not heard.enough:
            told = "; ".join(f"{name}: {why}" for name, why in sorted(heard.troubles.items()))
            raise errors.WitnessesMissing(f"Too few witnesses have cosigned size {size} ({told}).")
        whole = bytes(Note(note.text, (*note.signatures, *heard.cosignatures)))
        # Remembered first: from here on it counts as seen by everybody.
        self._files.remember(whole)
        return self._keep(checkpoint, whole)

    def _compare(self, key: SigningKey, shown: Mapping[str, bytes]) -> None:
        """Refuse LogStopped, and stop for good, if what witnesses show contradicts the database."""
        fork = self._contradiction(key, shown)
        if fork is not None:
            fork = f"{fork} Nothing more is appended or published; {ANEW}."
            self._files.stop(fork)
            raise errors.LogStopped(fork)

    def _contradiction(self, key: SigningKey, held_there: Mapping[str, bytes]) -> str | None:
        """Return how our own signature, in what a witness shows, contradicts the database.

        A witness that shows no such thing is not believed so far: it may lie, or be broken.
        """
        for witness, data in sorted(held_there.items()):
            try:
                shown, _times = open_checkpoint(data, key.verifier)
            except BadNote:
                continue
            signed = f"The witness {witness} shows a checkpoint of {shown.size} events that the log"
            held = self._tree.head().size
            if shown.size > held:
                return f"{signed} has signed, and the database holds {held}."
            if self.reader.root(shown.size) != shown.root:
                return f"{signed} has signed, and the database holds another history."
        return None

    def _keep(self, checkpoint: Checkpoint, note: bytes) -> Published:
        published = Published(checkpoint.size, checkpoint.root, note, now())
        try:
            self._tree.publish(published)
        except OtherRoot as fork:
            why = f"The database holds a checkpoint of size {checkpoint.size} with another root."
            self._files.stop(why)
            raise errors.LogStopped(why) from fork
        return published

    # ------------------------------------------------------------ guards

    def _not_stopped(self) -> None:
        why = self._files.stopped()
        if why is not None:
            raise errors.LogStopped(why)

    def _not_shorter(self, last: Checkpoint, head: TreeHead) -> None:
        if head.size < last.size:
            raise errors.LogRolledBack(
                f"The database holds {head.size} events in its tree, but {last.origin} has "
                f"published a checkpoint of {last.size}: an older copy of it was restored, or it "
                f"is another. Nothing is appended or published; {ANEW}."
            )

    def _contained(self, last: Checkpoint, head: TreeHead) -> None:
        """Refuse LogRolledBack unless the tree continues what was published."""
        self._not_shorter(last, head)
        try:
            proof = self.reader.consistency(last.size, head.size, head)
            merkle.verify_consistency(last.size, head.size, last.root, _root(head), proof)
        except (BadProof, BadTile) as other:
            raise errors.LogRolledBack(
                f"The first {last.size} events are not those of which {last.origin} has published "
                f"a checkpoint: the database is another, or was altered. Nothing is appended or "
                f"published; {ANEW}."
            ) from other


def _root(head: TreeHead) -> bytes:
    return Frontier(head.size, head.frontier).root()


def _of(published: Published, key: SigningKey) -> Checkpoint | None:
    """Return a checkpoint of the database, None if another log signed it before this one began."""
    try:
        checkpoint = Checkpoint.parse(parse_note(published.note).text)
        if checkpoint.origin != key.name:
            return None
        return open_checkpoint(published.note, key.verifier)[0]
    except BadNote as bad:
        message = f"The checkpoint of size {published.size} in the database cannot be read: {bad}."
        raise errors.LogStopped(message) from bad

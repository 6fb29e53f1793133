"""Who we are in the consumer group, noted in STATE_DIR for the process that comes after us there.

A process that was killed counts as a member until its session time-out is over, and a rebalance waits for it
that long. Its successor signs it off: it has the group let go of the noted ids. Nobody that lives may be
signed off, for it could still send what its lease allows. So a note counts only for whoever holds the very
lock that it was made under, see `Hold`.
"""

import threading
from pathlib import Path
from typing import Final

import structlog

from worker.stream.state_folder import Hold, StateFolder

_MOST_MEMBERS: Final = 32
_LONGEST_ID: Final = 512

log = structlog.get_logger(__name__)


class MemberNote:
    """The ids that the group may have for us and for our predecessors. A disk that fails is told, not raised.

    An id is noted before the group can wait for it, and dropped once the group has certainly let go of it.
    May block for as long as the disk does.
    """

    def __init__(self, folder: StateFolder, group: str) -> None:
        """Read what the predecessor left; the folder must be ours."""
        self.group: Final = group
        self._hold = folder.hold
        # A plus is not in any group's name.
        self._path = folder.path / f"{group}+members"
        self._writing = threading.Lock()
        self._predecessors = self._read()
        self._own = tuple[str, ...]()

    @property
    def predecessors(self) -> tuple[str, ...]:
        """The ids of processes that are dead for certain, and that the group may still have for members."""
        return self._predecessors

    def asks_for(self, member: str) -> None:
        """Note an id under which we are about to join."""
        self._own = tuple(dict.fromkeys((*self._own, member)))
        self._write()

    def joined(self, member: str) -> None:
        """Note that a join was answered: whoever did not take part in it, earlier ids too, is no member."""
        self._predecessors, self._own = (), (member,)
        self._write()

    def signed_off(self) -> None:
        """Note that the group has let go of our predecessors."""
        self._predecessors = ()
        self._write()

    def left(self) -> None:
        """Note that we have left the group."""
        self._own = ()
        self._write()

    def _write(self) -> None:
        """Write what holds now, whole or not at all. A kill of the machine may undo it: nobody asks then."""
        if self._hold is None:
            return
        try:
            # One that a slow disk kept waiting does not write what is no longer so.
            with self._writing:
                members = (*self._predecessors, *self._own)[-_MOST_MEMBERS:]
                if not members:
                    self._path.unlink(missing_ok=True)
                    return
                draft = self._path.with_name(f"{self._path.name}.new")
                draft.write_text("".join(f"{line}\n" for line in (" ".join(map(str, self._hold)), *members)))
                draft.replace(self._path)
        except OSError as error:
            log.warning(
                "who we are in the group could not be noted in ENROLMENT_STATE_DIR: if this process is "
                "killed, the group waits for it until its session time-out is over",
                error=type(error).__name__,
            )

    def _read(self) -> tuple[str, ...]:
        try:
            hold, members = _parsed(self._path)
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:
            log.warning(
                "the note of who was in the group before cannot be read and is passed over: the group waits "
                "for a process that was killed until its session time-out is over",
                error=type(error).__name__,
            )
            return ()
        if hold != self._hold:
            log.info(
                "whoever worked with ENROLMENT_STATE_DIR before may live elsewhere (another machine, a copy "
                "of the folder): the group waits for it until its session time-out is over"
            )
            return ()
        return members


def _parsed(path: Path) -> tuple[Hold, tuple[str, ...]]:
    """Return what a note says; raises OSError or ValueError if it is none."""
    first, *members = path.read_text().splitlines()
    boot, device, inode = first.split(" ")
    if not members or not all(each.isprintable() and 0 < len(each) <= _LONGEST_ID for each in members):
        raise ValueError("it names no members")
    return Hold(boot, int(device), int(inode)), tuple(members)

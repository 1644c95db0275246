# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a set of files owns, and what a change of it has begun: enough to undo the change after any kill.

On disk, below /var/lib/config_set/<set>:

``manifest.json``
    The files that the set owns, each with the name of its site. Only these are ever removed.
``transaction/new``, ``transaction/old``
    What is about to be put in place, and what was there before.
``transaction/view``
    Copies of directories with the new files in them, which validation sees in the place of the live ones.
``transaction/done.json``, ``transaction/manifest.json``
    What the last two files here become at the end, written beforehand.
``transaction/journal.json``
    The steps, written before the first of them is taken. Whoever finds one undoes it first, which is the
    next run or the daemons' next start, whichever comes first: the steps can be undone from any point,
    any number of times. Once the daemons run with the new files the journal says "done", and is only
    cleared away.

This file, with those that it imports, is also a program: `python3 -m config_set` undoes what it finds. The
package `recovery` puts it on the host and before the daemons' start.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from . import services
from .safe_files import Directories, UnsafePath, named

STATE_ROOT = "/var/lib/config_set"
LOCK_PATIENCE = 300


class TransactionError(Exception):
    """The change was refused; everything is as it was before. The message is for the operator."""


class Busy(TransactionError):
    """Another run is at work, which is alive and has the lock."""


@dataclass
class Step:
    """One path that changes. Without `new` it is removed; without `old` nothing was there."""

    path: str
    kind: str  # file | link | directory
    site: str
    new: str | None = None
    old: str | None = None
    owner: tuple[int, int, int] = (0, 0, 0)  # uid, gid, mode as they should be
    was: tuple[int, int, int] | None = None  # of a directory that was there
    immutable: bool = False  # whether nobody is to change it from then on
    was_immutable: bool = False
    goes: bool = False  # a directory that is taken away, if it is empty


class Journal:
    """The state of one set on disk, and the one change of it that may be under way."""

    def __init__(self, name: str, state_root: str = STATE_ROOT) -> None:
        self.name = name
        self.root = state_root
        self.state = os.path.join(state_root, name)
        self.work = os.path.join(self.state, "transaction")
        self.file = os.path.join(self.work, "journal.json")
        self.view = os.path.join(self.work, "view")
        self._done = os.path.join(self.work, "done.json")
        self._manifest = os.path.join(self.state, "manifest.json")
        self._next_manifest = os.path.join(self.work, "manifest.json")
        self.files = Directories()
        self._change: dict[str, Any] = {}

    @contextlib.contextmanager
    def locked(self, patience: float = LOCK_PATIENCE) -> Iterator[None]:
        """Two runs at once wait for each other, on this host and for all sets.

        :raises Busy: another run has not ended within `patience` seconds.
        """
        os.makedirs(self.root, mode=0o700, exist_ok=True)
        os.makedirs(self.work, mode=0o700, exist_ok=True)
        path = os.path.join(self.root, "lock")
        deadline = time.monotonic() + patience
        with open(path, "w", encoding="ascii") as lock, self.files:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise Busy(
                            f"{self.name}: another run has held {path} for {patience} s; nothing was changed"
                        ) from None
                time.sleep(0.2)
            yield

    # ------------------------------------------------------------ a change

    def begin(
        self,
        steps: Sequence[Step],
        before: Mapping[str, str],
        after: Mapping[str, str],
        reload: Sequence[str],
    ) -> None:
        """Say what is going to happen, before any of it does. `steps` name what is staged and kept."""
        os.sync()
        steps_on_disk = [asdict(step) for step in steps]
        self._change = {"before": before, "after": after, "reload": list(reload), "steps": steps_on_disk}
        # what the end of the change writes is written now, while a full disk can still refuse it
        self._write(self._done, {**self._change, "phase": "done"})
        self._write(self._next_manifest, after)
        self._write(self.file, {**self._change, "phase": "begun"})

    def done(self) -> None:
        """The daemons run with the new files: from here on there is no way back."""
        os.rename(self._done, self.file)

    def finish(self) -> None:
        """Remember what the set owns from now on, and forget the change."""
        self.fault("done")
        os.rename(self._next_manifest, self._manifest)
        self.fault("manifest")
        self.clear()

    def undo(self, steps: Sequence[Step]) -> list[str]:
        """Put back what was there; harmless for steps that were never taken, or undone before.

        A place that is gone, or that a tenant has put something else into, is nobody's but the tenant's: it
        must not keep the other files from being put back, nor every later run from starting.

        :returns: those places.
        :raises OSError: what kept others from being put back; all that could be put back is.
        """
        lost: list[str] = []
        obstacle: OSError | None = None
        for step in reversed(steps):
            try:
                with named(step.path):
                    self._undo(step)
            except (UnsafePath, FileNotFoundError, NotADirectoryError, IsADirectoryError):
                lost.append(step.path)
            except OSError as error:
                obstacle = obstacle or error
        self.files.forget()  # a descriptor of a directory that is gone would swallow what is made anew
        if obstacle:
            raise obstacle
        return lost

    def unlock(self, steps: Sequence[Step]) -> None:
        """Let what is immutable, or may be by now, be changed."""
        for step in steps:
            if step.immutable or step.was_immutable:
                with contextlib.suppress(UnsafePath):  # somebody has put something else there
                    self.files.set_immutable(step.path, False)

    def lock(self, steps: Sequence[Step]) -> list[str]:
        """Make immutable what is to be so, from the outside in.

        :returns: the paths for which this cannot be had.
        """
        self._drop_view()
        wanted = sorted(step.path for step in steps if step.immutable)
        return [path for path in wanted if not self.files.set_immutable(path, True)]

    def lock_again(self, steps: Sequence[Step]) -> None:
        """Make immutable what was so before."""
        self._drop_view()
        for step in steps:
            if step.was_immutable:
                with contextlib.suppress(UnsafePath):
                    self.files.set_immutable(step.path, True)

    def _drop_view(self) -> None:
        """Remove the copies for validation: links to what is immutable then could never be removed."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.view)

    def _undo(self, step: Step) -> None:
        if step.kind == "directory":
            if step.was is None:
                self.files.remove_empty_directory(step.path)
            elif step.goes and self.files.identity(step.path) is None:
                self.files.make_directory(step.path, *step.was)
            else:
                self.files.set_directory(step.path, *step.was)
        elif self._taken(step):
            if step.old and os.path.lexists(step.old):
                self.files.place(step.old, step.path)
            elif step.new and not step.old:
                self.files.remove(step.path)

    def _taken(self, step: Step) -> bool:
        """Whether `step` has put its file in place, or taken one away; else there is nothing to undo."""
        if not step.new:
            return self.files.identity(step.path) is None
        if not os.path.lexists(step.new):
            return True
        # across file systems the new file is copied into place before it goes from here
        staged, found = self.files.look(step.new), self.files.look(step.path)
        return staged is not None and found is not None and staged.like(found)

    def clear(self) -> None:
        """Forget the change: the journal first, so that what is left after a kill means nothing."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.file)
        shutil.rmtree(self.work)
        os.mkdir(self.work, 0o700)

    def recover(self, starting: bool = False) -> bool:
        """Undo what a killed run left half done.

        :param starting: a daemon is about to start and waits for this; the others are asked to follow,
            and not waited for.
        :returns: whether there was something to undo.
        :raises TransactionError: a daemon did not follow.
        """
        journal = self._read(self.file)
        begun = bool(journal) and journal["phase"] != "done"
        if begun:
            steps = [step_from(recorded) for recorded in journal["steps"]]
            self.unlock(steps)
            self.undo(steps)
            self.lock_again(steps)
            touched = [step.path for step in steps]
            reload = [] if starting else journal["reload"]
            self.follow(journal["after"], journal["before"], touched, reload, wait=not starting)
        elif journal:
            self._write(self._manifest, journal["after"])
        self.clear()
        return begun

    def follow(
        self,
        was: Mapping[str, str],
        now: Mapping[str, str],
        touched: Sequence[str],
        reload: Sequence[str],
        wait: bool = True,
    ) -> None:
        """Bring the daemons back to files that were put back; one that was removed meanwhile has none."""
        try:
            gone = services.strangers(reload)
            left = [daemon for daemon in reload if daemon not in gone]
            services.carry_out(was, now, touched, left, wait=wait)
        except services.ServiceError as error:
            raise TransactionError(
                f"{self.name}: the files are back as they were, but the daemons did not follow: {error}"
            ) from None

    def fault(self, point: str) -> None:
        """For tests of recovery: die at this point, as by SIGKILL, if the environment names set and point."""
        if os.environ.get("CONFIG_SET_DIE_AT") == f"{self.name}: {point}":
            os.kill(os.getpid(), signal.SIGKILL)

    # ------------------------------------------------------------ files of its own

    def manifest(self) -> dict[str, str]:
        return dict(self._read(self._manifest) or {})

    def _read(self, path: str) -> Any:
        try:
            with open(path, encoding="utf-8") as source:
                return json.load(source)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise TransactionError(
                f"{self.name}: {path} is damaged ({error}); look at it before you remove it"
            ) from None

    def _write(self, path: str, value: Any) -> None:
        with named(path), open(path + ".new", "w", encoding="utf-8") as out:
            # in one piece, which json.dump would not write with the encoder that is in C
            out.write(json.dumps(value, sort_keys=True))
            out.flush()
            os.fsync(out.fileno())
        os.rename(path + ".new", path)


def step_from(recorded: Mapping[str, Any]) -> Step:
    was = recorded["was"]
    return Step(**{**recorded, "owner": tuple(recorded["owner"]), "was": tuple(was) if was else None})


def unfinished(state_root: str) -> list[Journal]:
    """The journals of changes that somebody has begun, whichever set they are of."""
    journals = [Journal(name, state_root) for name in sorted(os.listdir(state_root))]
    return [journal for journal in journals if os.path.exists(journal.file)]


def main() -> int:
    """Undo every change that was killed half way, unless the run that makes it is still alive."""
    status = 0
    for journal in unfinished(STATE_ROOT):
        name = journal.name
        try:
            with journal.locked(patience=0):
                journal.recover(starting=True)
            print(f"undid a change of the set {name} that was killed half way")
        except Busy:
            continue  # it starts daemons itself, and undoes its change itself if it must
        except (OSError, UnsafePath, TransactionError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            status = 1
    return status

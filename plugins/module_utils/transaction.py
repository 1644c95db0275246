# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Many files, one change: compared, staged, validated by the real daemon, swapped in whole or not at all."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from . import accounts, host_secret, probe, recovery, services, web_probe
from .journal import STATE_ROOT, Journal, Step, TransactionError, unfinished
from .safe_files import Found, UnsafePath, write_file

IN_A_VIEW = """
while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done
shift
exec "$@"
"""
"""Run a command where the staged copies of directories stand in the place of the live ones."""


@dataclass(frozen=True)
class Item:
    """One path as it should be. `site` is "" for a file that all sites share."""

    path: str
    kind: str  # file | link | directory
    site: str = ""
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    content: str = ""
    target: str = ""
    keep: bool = False  # a directory or link that is made where missing, and left alone where it is there
    own: bool = False  # a directory that goes when the set has it no longer, if it is empty then
    immutable: bool | None = None  # whether nobody may change it, not even its owner; None: as it is
    secret: bool = False  # its text, or what it points to, holds places for names that only this host knows


@dataclass
class Difference:
    """What a step means for a reader: for the diff, and for the lists of sites."""

    path: str
    site: str
    action: str  # add | change | remove
    before: str
    after: str


@dataclass
class Outcome:
    """What a change did, or would do.

    `recovered`: a killed run was undone first. `doubts`: what a probe could not prove.
    """

    differences: list[Difference] = field(default_factory=list)
    sites_added: list[str] = field(default_factory=list)
    sites_changed: list[str] = field(default_factory=list)
    sites_removed: list[str] = field(default_factory=list)
    sockets_started: list[str] = field(default_factory=list)
    recovered: bool = False
    doubts: list[str] = field(default_factory=list)
    changeable: list[str] = field(default_factory=list)  # should be immutable, where that cannot be had


class Transaction:
    """A named set of files on this host, and one change to it.

    :param name: the set; one directory of state each.
    :param items: every path of the set as it should be from now on.
    :param validate: commands that must all end 0 with the staged files in place of the live ones.
        ``{scratch}`` in an argument is an empty directory, ``{staged}`` one with a link to each file that was
        added or changed, under the file's own path. Both go away afterwards.
    :param reload: daemons to reload once the files are in place.
    :param prune: take away what the set no longer has, and change nothing else.
    :param leave: sites of which nothing is taken away, although the set has it no longer; "" stands for the
        files that all sites share. A path stands for itself.
    :param patience: seconds that each command of `validate` may take.
    :param questions: what to ask the web server about the sites that have changed, once it runs with it.
    :param probe_patience: seconds for all questions together.
    """

    def __init__(
        self,
        name: str,
        items: Sequence[Item],
        validate: Sequence[Sequence[str]] = (),
        reload: Sequence[str] = (),
        prune: bool = False,
        patience: int = 120,
        questions: Sequence[web_probe.Question] = (),
        probe_patience: int = 300,
        state_root: str = STATE_ROOT,
        leave: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.items = list(items)
        self.validate = validate
        self.reload = list(reload)
        self.prune = prune
        self.patience = patience
        self.questions = questions
        self.probe_patience = probe_patience
        self.leave = set(leave)
        self.journal = Journal(name, state_root)
        self.secret = os.path.join(state_root, os.path.basename(host_secret.PATH))
        self.files = self.journal.files
        self.accounts = accounts.Host()
        self.owned: dict[str, str] = {}
        self.seen: dict[str, tuple[int, ...] | None] = {}  # what was at each path when it was compared
        self.made: set[str] = set()  # what was not there before
        self.occupied: set[str] = set()  # directories that the set has no longer, and that are in use
        self.taken: list[Step] = []
        self.changeable: list[str] = []

    # ------------------------------------------------------------ the whole of it

    def preview(self) -> Outcome:
        """What `apply` would do; nothing is written."""
        try:
            self.owned = self.journal.manifest()
            self._fill_in(host_secret.read(self.secret))
            with self.files:
                return self._outcome([difference for step, difference in self._compare(strict=False)])
        except OSError as error:
            raise TransactionError(f"{self.name}: {error}") from None

    def apply(self) -> Outcome:
        """Bring the host to the new state, or leave everything as it was.

        :raises TransactionError: why it was refused, in the daemon's own words where it was a daemon.
        """
        try:
            with self.journal.locked():
                # of any set, since a daemon that is to judge this change reads the files of others too
                recovered = [
                    journal.name for journal in unfinished(self.journal.root) if self._recover(journal)
                ]
                self.journal.clear()
                self.owned = self.journal.manifest()
                if any(item.secret for item in self.items):
                    self._fill_in(host_secret.made(self.secret))
                # before the comparison, since it makes directories that the set may have too
                daemons = {*services.lent(self.owned).values(), *services.lent(self._ownership()).values()}
                # not for one that this host has not, or not yet
                daemons |= set(self.reload) - set(services.strangers(self.reload))
                recovery.install(sorted(daemons))
                compared = list(self._compare(strict=True))
                outcome = self._outcome([difference for step, difference in compared], bool(recovered))
                steps = [step for step, difference in compared]
                steps = [*self._locked_parents(steps), *steps]
                if steps or self._ownership() != self.owned:
                    outcome.doubts = self._change(steps)
                self._start(outcome.sockets_started)
                return outcome
        except (OSError, services.ServiceError) as error:
            raise TransactionError(f"{self.name}: {error}; nothing was changed") from None

    def _fill_in(self, secret: bytes) -> None:
        self.items = [
            replace(
                item,
                content=host_secret.filled(item.content, secret),
                target=host_secret.filled(item.target, secret),
            )
            if item.secret
            else item
            for item in self.items
        ]

    def _recover(self, journal: Journal) -> bool:
        try:
            with journal.files:
                return journal.recover()
        except (OSError, UnsafePath) as obstacle:
            raise TransactionError(
                f"{journal.name}: putting back what a killed run left failed: {obstacle}. {kept(journal)}"
            ) from None

    def _start(self, sockets: Sequence[str]) -> None:
        if sockets:
            try:
                services.listen(sockets, self._ownership())
            except services.ServiceError as error:
                raise TransactionError(f"{self.name}: {error}") from None

    def _outcome(self, differences: list[Difference], recovered: bool = False) -> Outcome:
        before, after = set(self.owned.values()), set(self._ownership().values())
        touched = {difference.site for difference in differences} - {""}
        return Outcome(
            differences,
            sites_added=sorted(touched - before),
            sites_changed=sorted(touched & before & after),
            sites_removed=sorted((touched & before) - after),
            sockets_started=services.idle_sockets(set(self.owned) & set(self._ownership())),
            recovered=recovered,
            changeable=self.changeable,
        )

    def _change(self, steps: list[Step]) -> list[str]:
        """:returns: what the probe could not prove."""
        before, after = self.owned, self._ownership()
        swapped = False
        try:
            self._refuse_strangers()
            self._stage(steps)
            self.journal.fault("staged")
            self.journal.begin(steps, before, after, self.reload)
            self.journal.fault("begun")
            self.journal.unlock(steps)
            self._directories(steps)
            self._validate(steps)
            self.journal.fault("validated")
            for step in steps:
                self._swap(step)
                self.journal.fault("swapped one")
            self.journal.fault("swapped all")
            swapped = True
            self.changeable.extend(self.journal.lock(steps))
            self.journal.fault("locked")
            touched = [step.path for step in steps]
            changed = {after[path] for path in touched if path in after}
            questions = [question for question in self.questions if question.site in changed]
            web = web_probe.Probe(questions, self.reload, self.probe_patience)
            services.carry_out(before, after, touched, self.reload)
            self.journal.fault("followed")
            probe.sites(after, touched)
            doubts = web.ask()
            self.journal.done()
        except BaseException as error:
            self._take_back(error, steps, (before, after) if swapped else None)
            raise
        try:
            self.journal.finish()
        except OSError as error:
            raise TransactionError(
                f"{self.name}: the change is made, but not yet noted: {error}; the next run does that"
            ) from None
        return doubts

    def _refuse_strangers(self) -> None:
        """A daemon that cannot run would neither follow the change nor its undoing."""
        for daemon, state in services.strangers(self.reload).items():
            raise TransactionError(
                f"{self.name}: the daemon {daemon}, to be reloaded, cannot run on this host: systemd says "
                f"{state}. Install or unmask it, or mend its name in `reload`. Nothing was changed"
            )

    def _take_back(
        self,
        error: BaseException,
        steps: Sequence[Step],
        followed: tuple[Mapping[str, str], Mapping[str, str]] | None,
    ) -> None:
        """Undo what was done of a change that failed. What was not done may be somebody else's by now."""
        try:
            self.journal.unlock(steps)
            lost = self.journal.undo(self.taken)
            self.journal.lock_again(steps)
        except OSError as obstacle:
            raise TransactionError(
                f"{self.name}: {error}; and putting the files back failed: {obstacle}. {kept(self.journal)}"
            ) from None
        if followed:
            before, after = followed
            self.journal.follow(after, before, [step.path for step in steps], self.reload)
        try:
            self.journal.clear()
        except OSError as obstacle:
            raise TransactionError(
                f"{self.name}: {error}; everything is as it was before, but {obstacle}. {kept(self.journal)}"
            ) from None
        self._explain(error, lost, steps)

    def _explain(self, error: BaseException, lost: Sequence[str], steps: Sequence[Step]) -> None:
        """Say why a change failed in a way that a person can act on."""
        but = f", but for what somebody took away or replaced meanwhile: {', '.join(lost)}" if lost else ""
        if isinstance(error, services.ServiceError):
            words = self._explained("the new configuration does not run", str(error), steps)
            raise TransactionError(words) from None
        if isinstance(error, (OSError, UnsafePath)):
            raise TransactionError(f"{self.name}: {error}; everything is as it was before{but}") from None
        if lost and isinstance(error, TransactionError):
            raise TransactionError(f"{error}{but}") from None

    # ------------------------------------------------------------ compare

    def _compare(self, strict: bool) -> Iterator[tuple[Step, Difference]]:
        wanted = {item.path for item in self.items}
        yield from self._gone(wanted)
        if self.prune:
            return
        for item in self.items:
            self._refuse_neighbours(item)
            owner = self._owner(item, strict)
            found = self._look(item.path)
            if found is None:
                self.made.add(item.path)
            elif item.keep and item.kind == "link" and item.path not in self.owned:
                continue
            immutable, locked = bool(item.immutable), self._locked(item, found)
            if found is None:
                if item.kind == "directory":
                    yield from self._missing_parents(item, wanted)
                yield (
                    Step(item.path, item.kind, item.site, owner=owner, immutable=immutable),
                    Difference(item.path, item.site, "add", "", wanted_text(item)),
                )
            elif not self._same(item, found, owner) or locked not in (None, immutable):
                self._refuse_foreign(item, found)
                was = (found.uid, found.gid, found.mode) if found.kind == "directory" else None
                yield (
                    Step(
                        item.path,
                        item.kind,
                        item.site,
                        owner=owner,
                        was=was,
                        immutable=immutable,
                        was_immutable=bool(locked),
                    ),
                    Difference(
                        item.path, item.site, "change", described(found, bool(locked)), wanted_text(item)
                    ),
                )

    def _gone(self, wanted: set[str]) -> Iterator[tuple[Step, Difference]]:
        """What the set owns and has no longer: first the files, then directories that nothing else is in."""
        needed = {os.path.dirname(path) for path in wanted}
        going: set[str] = set()
        directories: list[tuple[Step, Difference]] = []
        # backwards, since what is in a directory sorts behind it
        for path, site in sorted(self.owned.items(), reverse=True):
            found = self._look(path) if path not in wanted and not self._left(path, site) else None
            if not found:
                continue
            fixed = found.kind != "link" and bool(self._immutable(path))
            step = Step(path, found.kind, site, was_immutable=fixed)
            difference = Difference(path, site, "remove", described(found, fixed), "")
            if found.kind != "directory":
                going.add(path)
                yield step, difference
            elif path in needed or self.files.entries(path) - going:
                self.occupied.add(path)
            else:
                going.add(path)
                step.was, step.goes = (found.uid, found.gid, found.mode), True
                directories.append((step, difference))
        yield from directories

    def _locked(self, item: Item, found: Found | None) -> bool | None:
        """Whether what is there is immutable; None where that is nothing to us, or cannot be had."""
        if item.immutable is None or found is None or found.kind != item.kind:
            return None
        locked = self._immutable(item.path)
        if locked is None and item.immutable:
            self.changeable.append(item.path)
        return locked

    def _locked_parents(self, steps: Sequence[Step]) -> list[Step]:
        """Immutable directories in which something changes: opened for the change, and only for it."""
        items = {item.path: item for item in self.items}
        changed = {step.path for step in steps}
        result = []
        for step in steps:
            path = os.path.dirname(step.path)
            found = self._look(path) if path not in changed and step.kind != "directory" else None
            if found and found.kind == "directory" and self._immutable(path):
                changed.add(path)
                now = (found.uid, found.gid, found.mode)
                again = path in items and bool(items[path].immutable)
                result.append(
                    Step(
                        path,
                        "directory",
                        step.site,
                        owner=now,
                        was=now,
                        immutable=again,
                        was_immutable=True,
                    )
                )
        return result

    def _missing_parents(self, item: Item, wanted: set[str]) -> Iterator[tuple[Step, Difference]]:
        """Directories on the way to `item` that nobody asked for by name: root's, open to pass through."""
        missing: list[Item] = []
        above = os.path.dirname(item.path)
        while above not in wanted and self._look(above) is None:
            missing.append(Item(above, "directory", item.site, mode=0o755))
            above = os.path.dirname(above)
        for parent in reversed(missing):
            wanted.add(parent.path)
            yield (
                Step(parent.path, "directory", item.site, owner=(0, 0, parent.mode)),
                Difference(parent.path, item.site, "add", "", wanted_text(parent)),
            )

    def _look(self, path: str) -> Found | None:
        with self._untouched():
            found = self.files.look(path)
        self.seen[path] = found.identity if found else None
        return found

    def _immutable(self, path: str) -> bool | None:
        with self._untouched():
            return self.files.immutable(path)

    @contextlib.contextmanager
    def _untouched(self) -> Iterator[None]:
        try:
            yield
        except UnsafePath as error:
            raise TransactionError(f"{self.name}: {error}; nothing was changed") from None

    def _still_as_seen(self, step: Step) -> None:
        """Somebody's edit of a moment ago is not overwritten unread."""
        if self.files.identity(step.path) != self.seen.get(step.path):
            raise TransactionError(
                f"{self.name}: somebody changed {step.path}{of_site(step.site)} during this run. Nothing was "
                f"changed by it; see what they did, and run it again"
            )

    def _same(self, item: Item, found: Found, owner: tuple[int, int, int]) -> bool:
        if item.kind != found.kind:
            return False
        if item.kind == "link":
            return item.target == found.target and owner[:2] == (found.uid, found.gid)
        if item.kind == "directory" and item.keep:
            return True
        same_content = item.kind == "directory" or item.content.encode() == found.content
        return same_content and owner == (found.uid, found.gid, found.mode)

    def _refuse_neighbours(self, item: Item) -> None:
        """A path does not go from one site to another in one run: who uses it still means the former."""
        former = self.owned.get(item.path) or item.site
        if (
            item.kind != "directory"
            and item.site not in ("", former)
            and former in {other.site for other in self.items}
        ):
            raise TransactionError(
                f"{self.name}: {item.path} of site {item.site} is site {former}'s so far. Whoever uses it "
                f"would reach the wrong site for a while; give it up there in one run, and take it in "
                f"the next. Nothing was changed"
            )

    def _refuse_foreign(self, item: Item, found: Found) -> None:
        """What somebody made by hand stays; only directories may be there before us."""
        if found.kind != item.kind:
            raise TransactionError(
                f"{self.name}: {item.path}{of_site(item.site)} is a {found.kind}, where a {item.kind} should "
                f"be; move it away. Nothing was changed"
            )
        if item.kind != "directory" and item.path not in self.owned:
            raise TransactionError(
                f"{self.name}: {item.path}{of_site(item.site)} is there already and was not written by this "
                f"collection; move it away or give the site another name. Nothing was changed"
            )

    def _owner(self, item: Item, strict: bool) -> tuple[int, int, int]:
        user, group = self.accounts.user(item.owner), self.accounts.group(item.group)
        if user is not None and group is not None:
            return user.uid, group, item.mode
        if not strict:  # check mode on a host where the accounts are yet to be made
            return -1, -1, item.mode
        missing = f"group {item.group}" if user else f"account {item.owner}"
        raise TransactionError(
            f"{self.name}: {item.path}{of_site(item.site)} should belong to {item.owner}:{item.group}, but "
            f"there is no {missing}; make the account first (role site_accounts does). Nothing was changed"
        )

    def _ownership(self) -> dict[str, str]:
        """The manifest after this change. Most directories are nobody's to remove: they hold users' data."""
        now = {item.path: item.site for item in self.items if self._becomes_ours(item)}
        stays = {*now, *self.occupied}
        left = {path: site for path, site in self.owned.items() if self._left(path, site) or path in stays}
        return left if self.prune else {**left, **now}

    def _becomes_ours(self, item: Item) -> bool:
        """Whether we may take it away one day. What need not be as we want it is ours only if we made it."""
        if item.own or (item.keep and item.kind == "link"):
            return item.path in self.owned or item.path in self.made
        return item.kind != "directory"

    def _left(self, path: str, site: str) -> bool:
        """Whether a file is not ours to take away, although we have it no longer."""
        return site in self.leave or path in self.leave

    # ------------------------------------------------------------ stage and validate

    def _stage(self, steps: Sequence[Step]) -> None:
        items = {item.path: item for item in self.items}
        for part in ("new", "old"):
            os.mkdir(os.path.join(self.journal.work, part), 0o700)
        for number, step in enumerate(steps):
            if step.kind == "directory":
                continue
            item = items.get(step.path)
            with about(step):
                if item:
                    new = os.path.join(self.journal.work, "new", str(number))
                    if item.kind == "link":
                        os.symlink(item.target, new)
                        os.chown(new, *step.owner[:2], follow_symlinks=False)
                    else:
                        write_file(new, item.content.encode(), *step.owner)
                    step.new = new
                if self.seen.get(step.path):
                    old = os.path.join(self.journal.work, "old", str(number))
                    self.files.keep(step.path, old)
                    step.old = old

    def _directories(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if step.kind != "directory" or step.goes:
                continue
            with about(step):
                self._still_as_seen(step)
                self.taken.append(step)
                if step.was is None:
                    self.files.make_directory(step.path, *step.owner)
                else:
                    self.files.set_directory(step.path, *step.owner)

    def _validate(self, steps: Sequence[Step]) -> None:
        if not self.validate or not steps:
            return
        view = self.journal.view
        scratch, staged = (os.path.join(self.journal.work, name) for name in ("scratch", "staged"))
        os.mkdir(view, 0o755)
        os.mkdir(scratch, 0o700)
        for step in steps:
            if step.kind == "file" and step.new:
                os.makedirs(os.path.dirname(staged + step.path), 0o700, exist_ok=True)
                os.symlink(step.path, staged + step.path)
        mounts: list[str] = []
        for number, directory in enumerate(
            sorted({os.path.dirname(s.path) for s in steps if s.kind != "directory"})
        ):
            copy = os.path.join(view, str(number))
            staged_copy(directory, copy, [step for step in steps if os.path.dirname(step.path) == directory])
            mounts += [copy, directory]
        for command in self.validate:
            argv = [word.replace("{scratch}", scratch).replace("{staged}", staged) for word in command]
            self._run_in_view(mounts, argv, steps)

    def _run_in_view(self, mounts: Sequence[str], argv: Sequence[str], steps: Sequence[Step]) -> None:
        unshare = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-ec", IN_A_VIEW, "sh"]
        with subprocess.Popen(
            [*unshare, *mounts, "--", *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as command:
            try:
                output, _ = command.communicate(timeout=self.patience)
            except BaseException as error:
                # all that it started too: apache2ctl is a script, and its daemon would hold the output open
                os.killpg(command.pid, signal.SIGKILL)
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                raise TransactionError(
                    f"{self.name}: {' '.join(argv)} did not answer within {self.patience} s; nothing was "
                    f"changed"
                ) from None
        if command.returncode != 0:
            words = output.decode(errors="replace").strip()
            raise TransactionError(self._explained("the new configuration is refused", words, steps))

    def _explained(self, what: str, words: str, steps: Sequence[Step]) -> str:
        """An error with the daemon's own words, and the sites that they are about."""
        # a daemon may name a link to what has changed, and the link itself has not
        sites = {step.path: step.site for step in steps} | {item.path: item.site for item in self.items}
        named = sorted({site for path, site in sites.items() if site and path in words})
        about = f" of site {', '.join(named)}" if named else ""
        return f"{self.name}: {what}{about}; everything is as it was before. It says:\n{words}"

    def _swap(self, step: Step) -> None:
        if step.kind == "directory" and not step.goes:
            return
        with about(step):
            self._still_as_seen(step)
            self.taken.append(step)
            if step.goes:
                self.files.remove_empty_directory(step.path)
            elif step.new:
                self.files.place(step.new, step.path)
            else:
                self.files.remove(step.path)


# ---------------------------------------------------------------- helpers


def staged_copy(directory: str, copy: str, steps: Sequence[Step]) -> None:
    """A copy of a live directory of configuration with the staged files in it."""
    shutil.copytree(directory, copy, symlinks=True, copy_function=link_or_copy)
    for step in steps:
        place = os.path.join(copy, os.path.basename(step.path))
        if step.kind != "directory" and os.path.lexists(place):
            os.unlink(place)
        if step.new:
            link_or_copy(step.new, place)


def link_or_copy(source: str, copy: str, *, follow_symlinks: bool = True) -> None:
    try:
        os.link(source, copy, follow_symlinks=False)
    except OSError:
        if stat.S_ISREG(os.lstat(source).st_mode) or os.path.islink(source):  # no daemon reads a socket
            shutil.copy2(source, copy, follow_symlinks=False)


def described(found: Found, immutable: bool = False) -> str:
    owner, group = account_name(found.uid), group_name(found.gid)
    if found.kind == "link":
        return f"link of {owner}:{group} to {found.target}\n"
    content = found.content.decode(errors="replace") if found.kind == "file" else f"{found.kind}\n"
    return f"# owner {owner}, group {group}, mode {found.mode:04o}{bit(immutable)}\n{content}"


def wanted_text(item: Item) -> str:
    if item.kind == "link":
        return f"link of {item.owner}:{item.group} to {item.target}\n"
    content = item.content if item.kind == "file" else f"{item.kind}\n"
    return f"# owner {item.owner}, group {item.group}, mode {item.mode:04o}{bit(item.immutable)}\n{content}"


def bit(immutable: bool | None) -> str:
    return ", immutable" if immutable else ""


def account_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


@contextlib.contextmanager
def about(step: Step) -> Iterator[None]:
    """An error names the path that it is about, and its site, whatever the system call was given."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"{step.path}{of_site(step.site)}") from None


def kept(journal: Journal) -> str:
    return f"The journal in {journal.work} is kept, the next run tries again"


def of_site(site: str) -> str:
    return f" (site {site})" if site else ""

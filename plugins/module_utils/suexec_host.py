# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What suEXEC's checks will find on this host, found out without starting anything.

What depends on permissions is not computed but tried, under the same accounts as Apache and suEXEC would try
it, so that access lists, links and mount options count as the kernel counts them.

Nothing is written. Paths are walked under Apache's account or the site's own, never as root; contents are
read from the very file that the account reached, if it is a regular one.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import re
import stat
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace

from .suexec import (
    HEAD,
    LINE_LIMIT,
    Account,
    Call,
    Identity,
    Place,
    Powers,
    Setup,
    SuexecError,
    Target,
    Verdict,
    id_of,
    interpreter_of,
    judge,
    numeric,
    parse_build,
    parse_config,
)

ROOT = Identity(0, 0, ())
CAP_SETGID, CAP_SETUID = 1 << 6, 1 << 7
INTERPRETERS_AT_MOST = 5
"""How often the kernel follows a "#!" from interpreter to interpreter."""

ANSWER_WITHIN = 30
"""Seconds that `suexec -V` may take."""

SCRIPT_LIMIT = 65536
"""Bytes of a wrapper that are searched for what it hands over to."""

HANDS_OVER_TO = re.compile(rb"^[ \t]*exec[ \t]+[\"']?(/[^\s;&|<>\"'$`\\]+)", re.MULTILINE)


class Host:
    """The live system, as Apache's account and the sites' own see it. Only root can look so."""

    def __init__(self, suexec: str, apache: Identity) -> None:
        """
        :param suexec: the binary, as compiled into Apache.
        :param apache: what Apache's children run under.
        :raises SuexecError: there is no such binary, or it does not tell its limits.
        """
        powers = powers_of(suexec, apache)
        build = parse_build(ask_build(suexec, apache))
        caller = account_of(apache.uid)
        itself = Identity(powers.uid, apache.gid, apache.groups)
        with acting_as(apache):
            executable = os.access(suexec, os.X_OK, effective_ids=True)
        with acting_as(itself):
            can_log = can_append(build.log) if build.log else True
            config = read_config(f"{build.config_dir}{caller.name}") if build.config_dir and caller else None
        self.apache = apache
        self.setup = Setup(suexec, build, powers, apache.uid, caller, executable, can_log, config)

    def verdict(self, call: Call) -> Verdict:
        """What suEXEC will answer to `call`, as things are now."""
        target = target_of(call)
        return judge(call, self.setup, target, self.visit(call, target))

    def visit(self, call: Call, target: Target) -> Place:
        """Go where Apache and suEXEC go, under the accounts that they take on."""
        steps = [self.setup.docroot]
        if target.userdir:
            steps = [target.home, self.setup.userdir_suffix]
        with returning():
            try:
                with acting_as(self.apache):
                    os.chdir(call.directory)
            except (OSError, ValueError):
                return Place()
            if len(call.arguments) < 3 or target.user is None or target.group is None or target.uid == 0:
                return Place(entered=True)  # suEXEC itself goes no further
            site = Identity(target.uid, target.gid, tuple(os.getgrouplist(target.user_name, target.gid)))
            with acting_as(site):
                place = look_around(steps, call.arguments[2])
                if place.program is None or stat.S_ISLNK(place.program.st_mode):
                    return place
                error, warning = rehearse_exec(call.arguments[2])
        return replace(place, exec_error=error, warning=warning)


def target_of(call: Call) -> Target:
    user, group = (*call.arguments, "", "")[:2]
    userdir = user.startswith("~")
    return Target(named_user(user[1:] if userdir else user), named_group(group), userdir)


def named_user(text: str) -> Account | None:
    """The account that suEXEC finds by a name or an id."""
    return account_of(id_of(text) if numeric(text) else text)


def named_group(text: str) -> tuple[str, int] | None:
    """Name and gid, found likewise."""
    try:
        found = grp.getgrgid(id_of(text)) if numeric(text) else grp.getgrnam(text)
    except (KeyError, OverflowError, ValueError):
        return None
    return found.gr_name, found.gr_gid


def passed(user: str, group: str) -> tuple[str, str]:
    """What Apache passes for a SuexecUserGroup: ids rather than names.

    A name that does not exist stays as it is. Apache itself refuses to start with it.
    """
    tilde = "~" if user.startswith("~") else ""
    account = account_of(user[len(tilde) :])
    uid = str(account.uid) if account else user[len(tilde) :].lstrip("#")
    try:
        gid = str(grp.getgrnam(group).gr_gid)
    except (KeyError, ValueError):
        gid = group.lstrip("#")
    return tilde + uid, gid


def read_config(path: str) -> list[str] | None:
    """See `parse_config`; None where the file cannot be opened."""
    try:
        with open(path, "rb") as file:
            return parse_config(file.read(2 * LINE_LIMIT))
    except OSError:
        return None


def look_around(steps: Sequence[str], command: str) -> Place:
    """The working directory, suEXEC's docroot, and what suEXEC then looks at, in its order."""
    try:
        cwd = os.getcwd()
    except OSError:
        return Place(entered=True)
    try:
        here = os.open(".", os.O_RDONLY)
    except OSError:
        return Place(True, cwd)
    try:
        for step in steps:
            os.chdir(step)
        docroot = os.getcwd()
        os.fchdir(here)
    except (OSError, ValueError):
        return Place(True, cwd, True)
    finally:
        os.close(here)
    return Place(True, cwd, True, docroot, status_of(cwd), status_of(command))


def status_of(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (OSError, ValueError):
        return None


def rehearse_exec(path: str) -> tuple[int, str]:
    """The error that execve() would end with, 0 for none; and what will go wrong after that."""
    name, warning = os.fsencode(path), ""
    for depth in range(INTERPRETERS_AT_MOST + 1):
        try:
            file = os.open(name, os.O_PATH)
        except (OSError, ValueError) as error:
            return getattr(error, "errno", errno.ENOENT), ""
        try:
            executable = os.access(name, os.X_OK, effective_ids=True)
            if not executable or not stat.S_ISREG(os.fstat(file).st_mode):
                return errno.EACCES, ""
            content, readable = start_of(file)
        finally:
            os.close(file)
        if content.startswith(b"\x7fELF"):
            return 0, warning
        interpreter = interpreter_of(content[:HEAD]) if content.startswith(b"#!") else None
        if interpreter is None:
            return errno.ENOEXEC, ""
        if depth == 0:
            warning = after_exec(path, content, readable)
        name = interpreter
    return errno.ELOOP, ""


def start_of(file: int) -> tuple[bytes, bool]:
    """The first bytes of a regular file that is open as a mere path, and whether this account can read it.

    The kernel needs no permission to read what it executes, so root then reads that very file.
    """
    path, flags = f"/proc/self/fd/{file}", os.O_RDONLY | os.O_NONBLOCK
    try:
        descriptor, readable = os.open(path, flags), True
    except PermissionError:
        with acting_as(ROOT):
            descriptor, readable = os.open(path, flags), False
    try:
        return os.read(descriptor, SCRIPT_LIMIT), readable
    finally:
        os.close(descriptor)


def after_exec(path: str, content: bytes, readable: bool) -> str:
    """Why a wrapper that suEXEC starts does nothing; empty where no reason is seen."""
    if not readable:
        return f"suexec starts {path}, but its interpreter runs as the user and cannot read it: chmod u+r"
    for program in HANDS_OVER_TO.findall(content):
        if not os.access(program, os.X_OK, effective_ids=True):
            name = program.decode(errors="replace")
            return f"suexec starts {path}, but the user cannot execute what it hands over to: {name}"
    return ""


def account_of(name_or_uid: str | int) -> Account | None:
    try:
        found = pwd.getpwnam(name_or_uid) if isinstance(name_or_uid, str) else pwd.getpwuid(name_or_uid)
    except (KeyError, OverflowError, ValueError):
        return None
    return Account(found.pw_name, found.pw_uid, found.pw_gid, found.pw_dir)


def identity_of(account: Account) -> Identity:
    """What a daemon takes on that changes to an account."""
    return Identity(account.uid, account.gid, tuple(os.getgrouplist(account.name, account.gid)))


def ask_build(suexec: str, caller: Identity) -> str:
    """The answer to `suexec -V`; as Apache's account, unless only root could have written the binary."""
    try:
        status = os.stat(suexec)
        trusted = status.st_uid == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        done = subprocess.run(
            [suexec, "-V"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            user=None if trusted else caller.uid,
            group=None if trusted else caller.gid,
            extra_groups=None if trusted else caller.groups,
            timeout=ANSWER_WITHIN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SuexecError(f"{suexec} -V: {error}") from None
    return done.stdout.decode(errors="replace")


def powers_of(suexec: str, caller: Identity) -> Powers:
    """What the kernel grants a process of `caller` that executes the binary.

    :raises SuexecError: there is no such file.
    """
    try:
        status = os.stat(suexec)
        without_setid = bool(os.statvfs(suexec).f_flag & os.ST_NOSUID)
    except OSError as error:
        raise SuexecError(
            f"{error}. Install suexec (apache2-suexec-custom or apache2-suexec-pristine); Apache takes no "
            "SuexecUserGroup without it"
        ) from None
    uid = status.st_uid if status.st_mode & stat.S_ISUID and not without_setid else caller.uid
    if uid == 0:
        return Powers(0, True, True)
    capabilities = 0 if without_setid else file_capabilities(suexec)
    return Powers(uid, bool(capabilities & CAP_SETGID), bool(capabilities & CAP_SETUID))


def file_capabilities(path: str) -> int:
    """The lower 32 permitted ones, if they take effect by themselves (capabilities(7))."""
    try:
        value = os.getxattr(path, "security.capability")
    except OSError:
        return 0
    effective = len(value) >= 8 and value[0] & 1
    return int.from_bytes(value[4:8], "little") if effective else 0


def can_append(path: str) -> bool:
    """Whether a log can be opened, or made, under the ids of this process."""
    real = os.path.realpath(path)
    if os.path.isdir(real):
        return False
    if os.path.exists(real):
        return os.access(real, os.W_OK, effective_ids=True)
    return os.access(os.path.dirname(real), os.W_OK | os.X_OK, effective_ids=True)


@contextlib.contextmanager
def returning() -> Iterator[None]:
    """Leave the working directory as it was."""
    before = os.open(".", os.O_PATH)
    try:
        yield
    finally:
        os.fchdir(before)
        os.close(before)


@contextlib.contextmanager
def acting_as(who: Identity) -> Iterator[None]:
    """Let the kernel judge by another account's permissions meanwhile. The process stays root's."""
    before = Identity(os.geteuid(), os.getegid(), tuple(os.getgroups()))
    try:
        act_as(who)
        yield
    finally:
        act_as(before)


def act_as(who: Identity) -> None:
    os.seteuid(ROOT.uid)
    os.setgroups(who.groups)
    os.setegid(who.gid)
    os.seteuid(who.uid)

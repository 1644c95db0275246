# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""suEXEC's checks, in its own order: the first that fails is the one that its log names.

`judge` knows the checks, `suexec_host` finds out what they look at. The rules are those of support/suexec.c
of Apache 2.4 with Debian's patches (suexec-custom and its configuration; a docroot that ends at a "/"), and
of execve(2). The numbers are suEXEC's exit codes.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote  # a name may be a tenant's, and a fix may be pasted into a shell

COMPILED_DOCROOT = "/var/www"
"""Debian's. suexec-custom does not tell it, and yet names it in its log where it means the configured one."""

LINE_LIMIT = 4096
"""Bytes of a line of configuration that suexec-custom reads at a time (PATH_MAX)."""

HEAD = 256
"""Bytes of a program that the kernel looks at to tell what it is (BINPRM_BUF_SIZE)."""

EXEC_FIX = "the kernel does not execute {path}"
EXEC_FIXES = {
    errno.ENOEXEC: "begin {path} with a line that names its interpreter: #!/bin/sh",
    errno.ENOENT: "the interpreter in the first line of {path} does not exist; the line must end with a line "
    "feed alone, not with carriage return and line feed",
    errno.EACCES: "{path} and the interpreter in its first line must be files that the user may execute, and "
    "not on a file system that is mounted noexec",
    errno.ELOOP: "name a program, not a script, as interpreter in the first line of {path}",
}


class SuexecError(Exception):
    """The binary cannot be asked for its limits."""


@dataclass(frozen=True)
class Build:
    """What `suexec -V` tells."""

    docroot: str
    userdir_suffix: str
    uid_min: int
    gid_min: int
    caller: str | None  # the account that alone may call; None where a file per account says so
    config_dir: str | None  # suexec-custom's
    log: str | None  # None where it logs to syslog


@dataclass(frozen=True)
class Identity:
    """The ids that a process runs under."""

    uid: int
    gid: int
    groups: tuple[int, ...]


@dataclass(frozen=True)
class Account:
    """An entry of the user database."""

    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True)
class Powers:
    """What the suexec binary makes of the account that calls it."""

    uid: int
    setgid: bool
    setuid: bool


@dataclass(frozen=True)
class Setup:
    """What is the same for every call."""

    suexec: str
    build: Build
    powers: Powers
    caller_uid: int
    caller: Account | None
    executable: bool  # for Apache's account
    can_log: bool
    config: Sequence[str] | None  # the lines of suexec-custom's; None where it cannot be opened

    @property
    def config_file(self) -> str:
        name = self.caller.name if self.caller else ""
        return f"{self.build.config_dir}{name}" if self.build.config_dir else ""

    @property
    def docroot(self) -> str:
        return self._configured(0) if self.build.config_dir else self.build.docroot

    @property
    def userdir_suffix(self) -> str:
        return self._configured(1) if self.build.config_dir else self.build.userdir_suffix

    def _configured(self, line: int) -> str:
        return self.config[line] if self.config and len(self.config) > line else ""


@dataclass(frozen=True)
class Call:
    """One call of suEXEC, as Apache's child makes it: it changes directory, then runs suexec."""

    directory: str
    arguments: Sequence[str]  # user, group, command


@dataclass(frozen=True)
class Target:
    """Who the wrapper is to run as. Whatever is not found is None."""

    user: Account | None = None
    group: tuple[str, int] | None = None  # name and gid
    userdir: bool = False

    @property
    def user_name(self) -> str:
        return self.user.name if self.user else ""

    @property
    def group_name(self) -> str:
        return self.group[0] if self.group else ""

    @property
    def uid(self) -> int:
        return self.user.uid if self.user else -1

    @property
    def gid(self) -> int:
        return self.group[1] if self.group else -1

    @property
    def home(self) -> str:
        return self.user.home if self.user else ""


@dataclass(frozen=True)
class Place:
    """What suEXEC finds in the directory it is called in. None: it cannot tell."""

    entered: bool = False  # by Apache's account
    cwd: str | None = None
    readable: bool = False
    docroot: str | None = None
    directory: os.stat_result | None = None
    program: os.stat_result | None = None
    exec_error: int = 0
    warning: str = ""


@dataclass(frozen=True)
class Verdict:
    """What will happen. `exit_code` is 0 where suEXEC hands over; what follows is the wrapper's own."""

    check: str
    exit_code: int
    log_line: str
    fix: str = ""
    warning: str = ""

    @property
    def ok(self) -> bool:
        return self.exit_code == 0


def judge(call: Call, setup: Setup, target: Target, place: Place) -> Verdict:
    """What suEXEC will answer to `call`."""
    return (
        unreachable(call, setup, place)
        or refused_call(call, setup)
        or unknown(call, target)
        or forbidden(call, target, setup)
        or misplaced(call, target, place, setup)
        or unfit(call, target, place)
        or Verdict("", 0, audit_line(call, target), warning=place.warning)
    )


def unreachable(call: Call, setup: Setup, place: Place) -> Verdict | None:
    """What fails before suEXEC's own checks: its log says nothing, Apache's says little."""
    if not place.entered:
        fix = f"{call.directory} must exist, and Apache's account must be able to search (x) it and all above"
        return Verdict("directory_entered", 255, "", fix)
    if not setup.executable:
        fix = f"give {setup.suexec} Apache's group and mode 4754, so that Apache's account can execute it"
        return Verdict("suexec_executable", 255, "", fix)
    if setup.build.log and not setup.can_log:
        fix = (
            f"suexec cannot write its log {setup.build.log}: its directory must exist, and {setup.suexec} "
            "must be root's, mode 4754, on a file system without nosuid"
        )
        return Verdict("log", 1, "", fix)
    return None


def refused_call(call: Call, setup: Setup) -> Verdict | None:
    """Who calls, with what, and what the configuration allows."""
    if setup.caller is None:
        log = f"crit: invalid uid: ({setup.caller_uid})"
        return Verdict("caller", 102, log, f"make an account with Apache's uid {setup.caller_uid}")
    if len(call.arguments) < 3:
        return Verdict("arguments", 101, "too few arguments", "pass a user, a group and a command")
    if setup.build.caller not in (None, setup.caller.name):
        log = f"user mismatch ({setup.caller.name} instead of {setup.build.caller})"
        fix = f"run Apache as {setup.build.caller}, for which this suexec was built, or install suexec-custom"
        return Verdict("caller", 103, log, fix)
    command = call.arguments[2]
    if command.startswith(("/", "../")) or "/../" in command:
        fix = "call a file in the working directory, by its name alone"
        return Verdict("command", 104, f"invalid command ({command})", fix)
    return misconfigured(call, setup) if setup.build.config_dir else None


def misconfigured(call: Call, setup: Setup) -> Verdict | None:
    """The configuration of suexec-custom: /etc/apache2/suexec/<the account that calls>."""
    file, name = setup.config_file, setup.caller.name if setup.caller else ""
    fix = f"write the docroot into the first line of {file}, and the userdir suffix into the second"
    if setup.config is None:
        return Verdict("config", 123, f"User {name} not allowed: Could not open config file {file}", fix)
    if len(setup.config) < 1:
        return Verdict("config", 124, f"Could not read docroot from {file}", fix)
    if len(setup.config) < 2:
        return Verdict("config", 125, f"Could not read userdir suffix from {file}", fix)
    docroot, suffix = setup.docroot, setup.userdir_suffix
    if call.arguments[0].startswith("~"):
        if not re.match(r"[A-Za-z0-9.]", suffix):
            return Verdict("config", 126, f"userdir suffix disabled in {file}", fix)
    elif not docroot.startswith("/"):
        return Verdict("config", 127, f"docroot disabled in {file}", fix)
    elif docroot[1:2] in ("", "/", "."):
        return Verdict("config", 128, f"invalid docroot {docroot} in {file}", fix)
    return None


def unknown(call: Call, target: Target) -> Verdict | None:
    """Whether user and group exist."""
    user, group = call.arguments[0], call.arguments[1]
    user = user[1:] if target.userdir else user
    if target.user is None:
        kind, code = ("id", 121) if numeric(user) else ("name", 105)
        return Verdict("user", code, f"invalid target user {kind}: ({user})", f"make an account for {user}")
    if target.group is None:
        kind = "id" if numeric(group) else "name"
        return Verdict("group", 106, f"invalid target group {kind}: ({group})", f"make the group {group}")
    return None


def audit_line(call: Call, target: Target) -> str:
    """What the log says of every call whose user and group exist."""
    user, group, command = call.arguments[:3]
    user = user[1:] if target.userdir else user
    return f"uid: ({user}/{target.user_name}) gid: ({group}/{target.group_name}) cmd: {command}"


def forbidden(call: Call, target: Target, setup: Setup) -> Verdict | None:
    """Whether suEXEC runs anything under these ids, and whether it can."""
    uid, gid, command = target.uid, target.gid, call.arguments[2]
    if uid == 0 or uid < setup.build.uid_min:
        fix = f"take an account with a uid of {setup.build.uid_min} or more"
        return Verdict("uid_min", 107, f"cannot run as forbidden uid ({uid}/{command})", fix)
    if gid == 0 or gid < setup.build.gid_min:
        fix = f"take a group with a gid of {setup.build.gid_min} or more"
        return Verdict("gid_min", 108, f"cannot run as forbidden gid ({gid}/{command})", fix)
    fix = f"give {setup.suexec} to root, mode 4754, on a file system without nosuid"
    denied = os.strerror(errno.EPERM)
    if not setup.powers.setgid:
        log = f"failed to setgid/initgroups ({gid}: {command}): {denied}"
        return Verdict("privileges", 109, log, fix)
    if not setup.powers.setuid:
        return Verdict("privileges", 110, f"failed to setuid ({uid}: {command}): {denied}", fix)
    return None


def misplaced(call: Call, target: Target, place: Place, setup: Setup) -> Verdict | None:
    """Where the wrapper is. From here on, suEXEC looks with the permissions of the site's account."""
    user, command, cwd = target.user_name, call.arguments[2], place.cwd
    if cwd is None:
        fix = f"make {call.directory} again"
        return Verdict("cwd", 111, "cannot get current working directory", fix)
    if not place.readable:
        fix = f"let {user} read and search (r, x) {cwd}"
        return Verdict("cwd", 111, "cannot open current working directory", fix)
    if place.docroot is None:
        return no_docroot(target, setup)
    # Debian's suexec ends the docroot at a "/"; both paths are as getcwd() says them
    if cwd != place.docroot and not cwd.startswith(place.docroot + "/"):
        fix = f"move {cwd} below {place.docroot}"
        if setup.config_file:
            fix += f", or write another docroot into the first line of {setup.config_file}"
        return Verdict("within_docroot", 114, f"command not in docroot ({cwd}/{command})", fix)
    if place.directory is None or not stat.S_ISDIR(place.directory.st_mode):
        fix = f"let {user} search (x) every directory above {cwd}"
        return Verdict("directory", 115, f"cannot stat directory: ({cwd})", fix)
    if place.directory.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        log = f"directory is writable by others: ({cwd})"
        return Verdict("directory_mode", 116, log, f"chmod go-w {quote(cwd)}")
    return None


def no_docroot(target: Target, setup: Setup) -> Verdict:
    wanted = f"{target.home}/{setup.userdir_suffix}" if target.userdir else setup.docroot
    fix = f"{wanted} must exist, and {target.user_name} must be able to search (x) it and all above"
    code, named = (112, target.home) if target.userdir else (113, setup.build.docroot)
    return Verdict("docroot", code, f"cannot get docroot information ({named})", fix)


def unfit(call: Call, target: Target, place: Place) -> Verdict | None:
    """The wrapper itself."""
    command, directory, program = call.arguments[2], place.directory, place.program
    path = f"{place.cwd}/{command}"
    if directory is None or program is None or stat.S_ISLNK(program.st_mode):
        fix = f"{path} must exist, and be a file rather than a symbolic link"
        return Verdict("program", 117, f"cannot stat program: ({command})", fix)
    mode, quoted = program.st_mode, quote(path)
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        return Verdict("program_mode", 118, f"file is writable by others: ({path})", f"chmod go-w {quoted}")
    if mode & (stat.S_ISUID | stat.S_ISGID):
        return Verdict("setid", 119, f"file is either setuid or setgid: ({path})", f"chmod ug-s {quoted}")
    ids = f"({target.uid}/{target.gid})"
    of_directory, of_program = (f"({found.st_uid}/{found.st_gid})" for found in (directory, program))
    if not ids == of_directory == of_program:
        log = f"target uid/gid {ids} mismatch with directory {of_directory} or program {of_program}"
        fix = f"chown {target.user_name}:{target.group_name} {quote(str(place.cwd))} {quoted}"
        return Verdict("owner", 120, log, fix)
    if not mode & stat.S_IXUSR:
        return Verdict("executable", 121, f"file has no execute permission: ({path})", f"chmod u+x {quoted}")
    if place.exec_error:
        log = f"({place.exec_error}){os.strerror(place.exec_error)}: exec failed ({command})"
        return Verdict("exec", 255, log, EXEC_FIXES.get(place.exec_error, EXEC_FIX).format(path=path))
    return None


def parse_build(text: str) -> Build:
    """The answer to `suexec -V`.

    :raises SuexecError: it holds no limits.
    """
    told = dict(re.findall(r'^ ?-D (\w+)(?:="?([^"\n]*)"?)?$', text, re.MULTILINE))
    for needed in ("AP_UID_MIN", "AP_GID_MIN"):
        if not re.fullmatch(r"[0-9]{1,10}", told.get(needed, "")):
            raise SuexecError(f"suexec -V does not tell {needed}: {text.strip()[:200]!r}")
    return Build(
        docroot=told.get("AP_DOC_ROOT", COMPILED_DOCROOT),
        userdir_suffix=told.get("AP_USERDIR_SUFFIX", ""),
        uid_min=int(told["AP_UID_MIN"]),
        gid_min=int(told["AP_GID_MIN"]),
        caller=told.get("AP_HTTPD_USER"),
        config_dir=told.get("SUEXEC_CONFIG_DIR"),
        log=told.get("AP_LOG_EXEC"),
    )


def parse_config(content: bytes) -> list[str]:
    """The docroot and the userdir suffix in a configuration of suexec-custom, as far as they are there.

    Blanks at the end go, then slashes. A line ends at a NUL, and at `LINE_LIMIT`.
    """
    file = io.BytesIO(content)
    lines = [file.readline(LINE_LIMIT), file.readline(LINE_LIMIT)]
    return [os.fsdecode(line.partition(b"\0")[0].rstrip().rstrip(b"/")) for line in lines if line]


def numeric(text: str) -> bool:
    """Whether suEXEC takes this for an id; to it, nothing is a number too."""
    return not text.strip("0123456789")


def id_of(text: str) -> int:
    """The id that suEXEC reads, in the C library's way with numbers that are too large."""
    return min(int(text or "0"), 2**63 - 1) & 0xFFFFFFFF


def interpreter_of(head: bytes) -> bytes | None:
    """The interpreter that the kernel reads in the first bytes of a script; None where it finds none."""
    line, end, _ = head[2:HEAD].partition(b"\n")
    if not end and len(head) >= HEAD and not re.match(rb"[ \t]*[^ \t]+[ \t\0]", line):
        return None  # the path may go on after what the kernel looks at
    name = re.split(rb"[ \t]", line.strip(b" \t"), maxsplit=1)[0].partition(b"\0")[0]
    return name or None

# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""php.ini with all that comes after it: the scan directory, `-d`, sections for a path or host, .user.ini.

Of two lines that say the same the later one holds. `[PATH=…]` and `[HOST=…]` lock what they set, so that no
script changes it (TMO-06); any other section is a heading.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from . import ini
from .safe_files import UnsafePath, open_directory
from .settings import Setting, undecided
from .source import Problem, Source, Tree

USER_INI_LIMIT = 64 * 1024
FILE_LIMIT = 1024 * 1024
DEFAULT = "PHP"
# What PHP has where nobody says anything.
DEFAULTS = {
    "max_execution_time": "30",
    "max_input_time": "-1",
    "default_socket_timeout": "60",
    "post_max_size": "8M",
    "memory_limit": "128M",
    "user_ini.filename": ".user.ini",
    "user_ini.cache_ttl": "300",
}
# What .user.ini may not set (PHP_INI_SYSTEM).
SYSTEM_ONLY = ("user_ini.filename", "user_ini.cache_ttl", "hard_timeout")

Values = dict[str, Setting[str]]


@dataclass
class PhpIni:
    """All that a PHP process reads when it starts.

    :param unknown: why it cannot be told which files these are.
    """

    values: Values = field(default_factory=dict)
    paths: dict[str, Values] = field(default_factory=dict)
    hosts: dict[str, Values] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unknown: Problem | None = None

    def get(self, name: str) -> Setting[str]:
        return self.values.get(name) or Setting(DEFAULTS.get(name), default_of=DEFAULT)

    def special(self, name: str, directory: str, host: str) -> Setting[str] | None:
        """What `[PATH=]` and `[HOST=]` say for scripts of a directory: the deepest path, else the host."""
        found = self.hosts.get(host.lower(), {}).get(name)
        path = ""
        for part in directory.strip("/").split("/"):
            path += f"/{part}"
            found = self.paths.get(path, {}).get(name) or found
        return found


@dataclass(frozen=True)
class Startup:
    """What decides which files a PHP process reads.

    :param directory: where its build looks for php.ini, and below it for conf.d.
    :param sapi: the name in php-<sapi>.ini, which goes before php.ini.
    :param search: directories that are looked through before `directory`.
    :param phprc, scan_directory: PHPRC and PHP_INI_SCAN_DIR of its environment.
    :param config, defines, no_files: what `-c`, each `-d` and `-n` say.
    """

    directory: str
    sapi: str
    search: tuple[str, ...] = ()
    phprc: str = ""
    scan_directory: str | None = None
    config: str = ""
    defines: tuple[str, ...] = ()
    defined_at: Source | None = None
    no_files: bool = False


def read(tree: Tree, startup: Startup, variable: ini.Variable = ini.nothing_known) -> PhpIni:
    """All files that a process reads when it starts; `variable` is for `${NAME}` from its environment."""
    found = PhpIni()

    def either(name: str) -> str | None:
        setting = found.values.get(name)
        return setting.value if setting else variable(name)

    def take_file(file: str) -> None:
        """A file that cannot be read leaves all undecided: any line of it may be the one that holds."""
        try:
            # the environment that names other places may be a tenant's to write
            own = file.startswith(f"{startup.directory}/")
            text = tree.read(file) if own else read_untrusted(tree, file, FILE_LIMIT)
        except (OSError, UnsafePath, ValueError) as error:
            found.unknown = Problem(Source(file, 1), f"is not read: {why(error)}")
            found.problems.append(found.unknown)
            return
        found.files.append(file)
        take(ini.parse(text, file, either), found)

    if not startup.no_files or startup.config:
        main = main_file(tree, startup)
        if main:
            take_file(main)
    if not startup.no_files:
        default = f"{startup.directory}/conf.d"
        scanned = default if startup.scan_directory is None else startup.scan_directory
        for directory in scanned.split(":") if scanned else ():
            directory = (directory or default).rstrip("/")
            for name in sorted(tree.names(directory), key=os.fsencode):
                if name.endswith(".ini") and tree.is_file(f"{directory}/{name}"):
                    take_file(f"{directory}/{name}")
    at = startup.defined_at or Source("-d", 1)
    for text in startup.defines:
        for statement in ini.parse(definition(text), at.file, either):
            moved = (
                Problem(at, statement.reason)
                if isinstance(statement, Problem)
                else statement._replace(source=at)
            )
            take([moved], found)
    return found


def main_file(tree: Tree, startup: Startup) -> str:
    """The php.ini that is read; nothing where there is none. PHPRC and `-c` name a file or a directory."""
    given = startup.config or startup.phprc
    if given and tree.is_file(given):
        return given
    directories = [startup.config] if startup.config else [startup.phprc, *startup.search, startup.directory]
    for name in (f"php-{startup.sapi}.ini", "php.ini"):
        for directory in directories:
            if directory and tree.is_file(f"{directory}/{name}"):
                return f"{directory.rstrip('/')}/{name}"
    return ""


def definition(text: str) -> str:
    """What `-d` says as a line of ini: a name alone is 1, what begins with no letter or digit is quoted."""
    name, equals, value = text.partition("=")
    if not equals:
        return f"{name}=1\n"
    return f"{text}\n" if not value or value[0].isalnum() or value[0] in "\"'" else f'{name}="{value}"\n'


def take(statements: Iterable[ini.Statement | Problem], found: PhpIni) -> None:
    values = found.values
    for statement in statements:
        if isinstance(statement, Problem):
            found.problems.append(statement)
        elif statement.kind == "section":
            values = section(statement.name, found)
        elif statement.kind == "entry":
            values[statement.name] = said(statement)


def section(name: str, found: PhpIni) -> Values:
    """Where the lines after a section belong."""
    kind, rest = name[:4].upper(), name[4:].rstrip("/\\").lstrip("= \t")
    if kind == "PATH" and name[4:]:
        return found.paths.setdefault(rest, {})
    if kind == "HOST" and name[4:]:
        return found.hosts.setdefault(rest.lower(), {})
    return found.values


def said(statement: ini.Statement) -> Setting[str]:
    if statement.undecided:
        return undecided(statement.undecided, statement.source)
    return Setting(statement.value, statement.source)


def read_user_ini(tree: Tree, directory: str, name: str) -> PhpIni:
    """A site's own .user.ini. The tenant may have put anything there: no link is followed, nothing is waited
    for, and no more than USER_INI_LIMIT is read."""
    found = PhpIni()
    file = f"{directory.rstrip('/')}/{name}"
    try:
        text = read_untrusted(tree, file, USER_INI_LIMIT)
    except FileNotFoundError:
        return found
    except (OSError, UnsafePath, ValueError) as error:
        found.unknown = Problem(Source(file, 1), f"is not read: {why(error)}")
        found.problems.append(found.unknown)
        return found
    found.files.append(file)
    take(ini.parse(text, file), found)
    return found


def why(error: Exception) -> str:
    return (error.strerror or "") if isinstance(error, OSError) else str(error)


def read_untrusted(tree: Tree, path: str, limit: int) -> str:
    """A file that others than root may have made.

    :raises OSError, UnsafePath, ValueError: when it cannot be read, could be redirected, or is too large.
    """
    directory, name = os.path.split(path)
    parent = open_directory(tree.real(directory))
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    finally:
        os.close(parent)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(limit + 1) or b""
    if len(data) > limit:
        raise ValueError(f"it is larger than {limit} bytes")
    return data.decode("utf-8", "surrogateescape")


def number(text: str) -> int:
    """A quantity as PHP takes it: what it begins with, times K, M or G where it ends in one. 30s is 30."""
    match = re.match(r"\s*([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)", text, re.ASCII)
    if not match:
        return 0
    sign, digits = match.groups()
    base = 16 if digits[1:2] in ("x", "X") else 8 if re.fullmatch("0[0-7]*", digits) else 10
    factor = {"k": 1024, "m": 1024**2, "g": 1024**3}.get(text.rstrip()[-1:].lower(), 1)
    return int(sign + digits, base) * factor

# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""systemd's units as their files say: fragment, drop-ins and their order, specifiers, environments.

What a unit has been changed to in memory, or by generators that have not run, is not in the files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container
from dataclasses import dataclass, field

from .settings import Setting, undecided, value_of
from .source import Problem, Source, Tree

PATHS = (
    *("/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient"),
    *("/run/systemd/generator.early", "/etc/systemd/system", "/etc/systemd/system.attached"),
    *("/run/systemd/system", "/run/systemd/system.attached", "/run/systemd/generator"),
    *("/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"),
    "/run/systemd/generator.late",
)
PROGRAM = "systemd"
# The keys that are kept. An empty value takes back what was said of one.
KEPT = frozenset(
    (
        *("User", "Group", "WorkingDirectory", "StandardInput", "Environment", "EnvironmentFile"),
        *("KillMode", "KillSignal", "TimeoutStopSec", "TimeoutSec", "ExecStart", "ExecStartPost"),
        *("ListenStream", "Backlog", "Service", "Symlinks"),
    )
)
SECONDS = {
    **dict.fromkeys(("usec", "us", "µs", "μs"), 1e-6),
    **dict.fromkeys(("msec", "ms"), 1e-3),
    **dict.fromkeys(("seconds", "second", "sec", "s", ""), 1.0),
    **dict.fromkeys(("minutes", "minute", "min", "m"), 60.0),
    **dict.fromkeys(("hours", "hour", "hr", "h"), 3600.0),
    **dict.fromkeys(("days", "day", "d"), 86400.0),
    **dict.fromkeys(("weeks", "week", "w"), 604800.0),
    **dict.fromkeys(("months", "month", "M"), 2629800.0),
    **dict.fromkeys(("years", "year", "y"), 31557600.0),
}
ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " "}
DIRECTORIES = {
    "t": "/run",
    "S": "/var/lib",
    "C": "/var/cache",
    "L": "/var/log",
    "E": "/etc",
    "T": "/tmp",
    "V": "/var/tmp",
}


@dataclass
class Unit:
    """A unit with what its files say of the keys that are kept, in order."""

    name: str
    source: Source
    said: dict[str, list[Setting[str]]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def all(self, key: str) -> list[Setting[str]]:
        return self.said.get(key, [])

    def last(self, key: str) -> Setting[str]:
        said = self.said.get(key)
        return said[-1] if said else Setting(None, default_of=PROGRAM)

    def stop_timeout(self, default: Setting[float]) -> Setting[float]:
        """TimeoutStopSec in seconds; what systemd does not understand it ignores, and 0 means no limit."""
        for setting in reversed(self.said.get("TimeoutStopSec", [])):
            if setting.undecided:
                return undecided(setting.undecided, setting.source)
            seconds = time_span(setting.value or "")
            if seconds is not None:
                return Setting(seconds or math.inf, setting.source)
        return default


class Units:
    """The units of a host."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.directories: dict[str, list[str]] = {}
        self.drop_in_directories: dict[str, list[str]] = {}
        self.holders: dict[str, str] = {}
        seen = set()
        for path in PATHS:
            real = tree.resolve(path)
            if real in seen or not tree.is_directory(path):
                continue
            seen.add(real)
            self.directories[path] = tree.names(path)
            for name in self.directories[path]:
                if name.endswith(".d"):
                    self.drop_in_directories.setdefault(name[:-2], []).append(f"{path}/{name}")
                self.holders.setdefault(name, path)
        self.loaded: dict[str, Unit | None] = {}

    def names(self, suffix: str) -> list[str]:
        """All units of a kind, `.service` say; of templates the instances that something wants."""
        names = set(self.holders)
        for path, held in self.directories.items():
            for name in held:
                if name.endswith((".wants", ".requires", ".upholds")):
                    names.update(self.tree.names(f"{path}/{name}"))
        return sorted(name for name in names if name.endswith(suffix) and f"@{suffix}" not in name)

    def get(self, name: str) -> Unit | None:
        """A unit; None where there is none, or where it is masked."""
        if name not in self.loaded:
            file = self.fragment(name)
            self.loaded[name] = self.load(name, file) if file else None
        return self.loaded[name]

    def load(self, name: str, file: str) -> Unit:
        unit = Unit(name, Source(file, 1))
        for path in (file, *self.drop_ins(name)):
            try:
                text = self.tree.read(path)
            except OSError as error:
                unit.problems.append(Problem(Source(path, 1), f"cannot be read: {error.strerror}"))
                continue
            for key, value, source in assignments(text, path, KEPT):
                key = "TimeoutStopSec" if key == "TimeoutSec" else key
                if not value:
                    if key != "TimeoutStopSec":
                        unit.said.pop(key, None)
                    continue
                raw = key in ("Environment", "ExecStart")  # each word has specifiers of its own
                unit.said.setdefault(key, []).append(
                    Setting(value, source) if raw else specified(value, name, source)
                )
        return unit

    def fragment(self, name: str) -> str:
        for candidate in (name, re.sub(r"@[^@]+(\.[a-z]+)$", r"@\1", name)):
            if candidate in self.holders:
                path = f"{self.holders[candidate]}/{candidate}"
                return path if self.tree.is_file(path) else ""  # a link to /dev/null masks it
        return ""

    def drop_ins(self, name: str) -> list[str]:
        """Those of the unit, of its template, of the prefixes of its name, and of all of its kind.

        Of files of one name the first in that order counts; what is left is read by name.
        """
        stem, _dot, kind = name.rpartition(".")
        base, at, _instance = stem.partition("@")
        parts = base.split("-")
        owners = [name, *([f"{base}@.{kind}"] if at else [])]
        owners += ["-".join(parts[:end]) + f"-.{kind}" for end in range(len(parts) - 1, 0, -1)]
        files: dict[str, str] = {}
        for owner in (*owners, kind):
            for directory in self.drop_in_directories.get(owner, []):
                for file in self.tree.names(directory):
                    if file.endswith(".conf"):
                        files.setdefault(file, f"{directory}/{file}")
        return [path for _name, path in sorted(files.items()) if self.tree.is_file(path)]

    def default_stop_timeout(self) -> Setting[float]:
        """What the manager gives a unit that says nothing."""
        found: Setting[float] = Setting(90.0, default_of=PROGRAM)
        drop_ins: dict[str, str] = {}
        for directory in ("/etc/systemd", "/run/systemd", "/usr/lib/systemd"):
            for name in self.tree.names(f"{directory}/system.conf.d"):
                drop_ins.setdefault(name, f"{directory}/system.conf.d/{name}")
        for path in ("/etc/systemd/system.conf", *(path for _name, path in sorted(drop_ins.items()))):
            if self.tree.is_file(path) and path.endswith(".conf"):
                for _key, value, source in assignments(
                    self.tree.read(path), path, ("DefaultTimeoutStopSec",)
                ):
                    seconds = time_span(value)
                    if seconds is not None:
                        found = Setting(seconds or math.inf, source)
        return found


def assignments(text: str, file: str, keys: Container[str]) -> list[tuple[str, str, Source]]:
    """Each `Key=value` of `keys` with its line; a backslash at the end goes on with the next line."""
    found = []
    pending, begun = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not pending and (not line or line[0] in "#;["):
            continue
        if line[:1] in ("#", ";"):
            continue
        if line.endswith("\\"):
            pending, begun = pending + line[:-1] + " ", begun or number
            continue
        key, equals, value = (pending + line if pending else line).partition("=")
        key = key.rstrip()
        if equals and key in keys:
            found.append((key, value.strip(), Source(file, begun or number)))
        pending, begun = "", 0
    return found


def specified(value: str, name: str, source: Source) -> Setting[str]:
    """A value with its %-specifiers replaced; those that only the running host knows leave it undecided."""
    if "%" not in value:
        return Setting(value, source)
    stem = name.rpartition(".")[0]
    prefix, _at, instance = stem.partition("@")
    known = {
        **DIRECTORIES,
        **{"%": "%", "n": name, "N": stem, "p": prefix, "i": instance, "j": prefix.rpartition("-")[2]},
        **{"P": unescaped(prefix), "I": unescaped(instance), "J": unescaped(prefix.rpartition("-")[2])},
        "f": "/" + unescaped(instance or prefix).lstrip("/"),
    }
    unknown = [letter for letter in re.findall(r"%(.)", value) if letter not in known]
    if unknown:
        return undecided(f"%{unknown[0]} is known to the running systemd only", source)
    return Setting(re.sub(r"%(.)", lambda match: known[match.group(1)], value), source)


def unescaped(text: str) -> str:
    """A part of a unit's name as the path that it stands for."""
    text = text.replace("-", "/")
    return re.sub(r"\\x([0-9a-fA-F]{2})", lambda match: chr(int(match.group(1), 16)), text)


def time_span(text: str) -> float | None:
    """Seconds of `5min 20s`, `90` or `infinity`; None where systemd would not take it."""
    text = text.strip()
    if text == "infinity":
        return math.inf
    total, position = 0.0, 0
    for match in re.finditer(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([A-Za-zµμ]*)", text):
        if match.start() != position or match.group(2) not in SECONDS:
            return None
        total += float(match.group(1)) * SECONDS[match.group(2)]
        position = match.end()
    return total if text and position == len(text) else None


WORD = re.compile(r"""(?:"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|\\.|[^\s"'\\]|\\)+""", re.DOTALL)
QUOTED = re.compile(r"""(["'])((?:\\.|(?!\1)[^\\])*)(?:\1|\Z)|(?:\\.|[^"'\\])+|\\""", re.DOTALL)


def words(text: str) -> list[str]:
    """The words of a value: quotes hold one together, backslashes escape as in C."""
    return [
        QUOTED.sub(lambda part: unquoted(part.group(2) if part.group(1) else part.group()), word)
        for word in WORD.findall(text)
    ]


def unquoted(text: str) -> str:
    def escape(match: re.Match[str]) -> str:
        code = match.group(1)
        if code[0] == "x" and len(code) > 1:
            return chr(int(code[1:], 16))
        return ESCAPES.get(code, code)

    return re.sub(r"\\(x[0-9a-fA-F]{2}|.)", escape, text, flags=re.DOTALL)


def environment(tree: Tree, unit: Unit) -> dict[str, Setting[str]]:
    """What a service's unit sets; its files go before its lines. What systemd itself sets is not here."""
    found: dict[str, Setting[str]] = {}
    for setting in unit.all("Environment"):
        for word in words(setting.value or ""):
            name, equals, value = word.partition("=")
            if equals and setting.source:
                found[name] = specified(value, unit.name, setting.source)
    for setting in unit.all("EnvironmentFile"):
        path = setting.value or ""
        file = path.lstrip("-")
        if tree.is_file(file):
            for name, value, source in environment_file(tree.read(file), file):
                found[name] = Setting(value, source)
        elif setting.source and not path.startswith("-"):
            reason = setting.undecided or f"{file}: there is no such file"
            unit.problems.append(Problem(setting.source, reason))
    return found


class Names:
    """All that may be the name of a variable."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None


def environment_file(text: str, file: str) -> list[tuple[str, str, Source]]:
    """The variables of an EnvironmentFile."""
    found = []
    for name, value, source in assignments(text, file, Names()):
        quoted = re.fullmatch(r"""(["'])(.*)\1""", value, re.DOTALL)
        found.append((name, re.sub(r"\\(.)", r"\1", quoted.group(2)) if quoted else value, source))
    return found


def command(unit: Unit, variables: dict[str, Setting[str]]) -> tuple[list[str], Setting[str]]:
    """The words of ExecStart with the service's variables put in, and the line itself."""
    line = unit.last("ExecStart")
    arguments: list[str] = []
    for word in words(line.value or ""):
        setting = specified(word, unit.name, line.source or unit.source)
        if setting.undecided:
            return [], undecided(setting.undecided, line.source)
        word = setting.value or ""
        for name in re.findall(r"\$\{?(\w+)", word):
            if name in variables and variables[name].undecided:
                return [], undecided(f"${name}: {variables[name].undecided}", line.source)
        whole = re.fullmatch(r"\$([A-Za-z_]\w*)", word)
        if whole and arguments:
            arguments += value_of(variables.get(whole.group(1))).split()
        else:
            text = re.sub(r"\$\{(\w+)\}", lambda match: value_of(variables.get(match.group(1))), word)
            arguments.append(text.replace("$$", "$"))
    if arguments:
        arguments[0] = arguments[0].lstrip("@-:+!")
    return arguments, line

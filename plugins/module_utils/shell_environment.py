# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The variables that a simple shell file sets, such as Apache's envvars.

Understood are assignments, `export`, `unset`, and `if` around the test of a string. What a line beyond that
assigns is undecided, and after a line that may do anything, all of it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.webhosting.fastcgi.plugins.module_utils.source import Tree

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_ASSIGNMENT = re.compile(rf"({_NAME})=(.*)", re.DOTALL)
_TEST = re.compile(r"if\s+(?:\[|test)\s+(.*?)\s*\]?\s*(?:;\s*then)?", re.DOTALL)
_PARAMETER = re.compile(rf"\$(?:({_NAME})|\{{({_NAME})(?:(##?|%%?|:-)([^{{}}$`*?\[\\]*))?\}})")
_PIECE = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|([^\s'";|&<>()#]+)|(\s+)""", re.DOTALL)


class _Beyond(Exception):
    """Something that only a shell understands."""


@dataclass
class Environment:
    """Variables, and why some of them are undecided.

    :param unknown: why variables that are not named here may be set all the same.
    """

    values: dict[str, str] = field(default_factory=dict)
    undecided: dict[str, str] = field(default_factory=dict)
    unknown: str = ""

    def get(self, name: str) -> tuple[str | None, str]:
        """A variable's value, none if it is not set, and why that is undecided."""
        if name in self.undecided:
            return None, self.undecided[name]
        value = self.values.get(name)
        return value, "" if value is not None else self.unknown


def apache_environment(tree: Tree, directory: str = "/etc/apache2") -> Environment:
    """What apache2ctl exports to Apache: the envvars file of a configuration's directory."""
    path = f"{directory}/envvars"
    try:
        text = tree.read(path) if tree.is_file(path) else ""
    except OSError as error:
        return Environment(unknown=f"{path} cannot be read: {error.strerror}")
    return exported(text, path, {"APACHE_CONFDIR": directory, "APACHE_ENVVARS": path})


def exported(text: str, file: str, given: Mapping[str, str]) -> Environment:
    """What a shell file exports.

    :param given: variables that are set, though not exported, before it runs.
    """
    shell = _Shell(file, dict(given))
    for number, line in enumerate(text.replace("\\\n", "").split("\n"), 1):
        shell.run(line.strip(), number)
    return Environment(
        {name: shell.values[name] for name in shell.exports if name in shell.values},
        {name: shell.undecided[name] for name in shell.exports if name in shell.undecided},
        shell.unknown,
    )


_BLOCKS = ("case", "for", "while", "until", "{", "(")
_ENDS = ("esac", "done", "}", ")")


@dataclass
class _Shell:
    file: str
    values: dict[str, str]
    undecided: dict[str, str] = field(default_factory=dict)
    exports: set[str] = field(default_factory=set)
    unknown: str = ""
    # of each block that is open, whether the branch at hand runs; nothing where that is undecided
    branches: list[bool | None] = field(default_factory=list)

    def run(self, line: str, number: int) -> None:
        word = line.split(None, 1)[0].rstrip(";") if line else "#"
        if word.startswith("#") or word == "then":
            return
        if word == "if" and re.search(r"\bfi\s*;?$", line):
            self.beyond(line, number)
        elif word in ("if", "elif", "else", "fi"):
            self.branch(word, line)
        elif word in _BLOCKS or line.endswith("{"):
            self.branches.append(None)
        elif word in _ENDS:
            del self.branches[-1:]
        elif False not in self.branches:
            try:
                for command in self.commands(line):
                    self.command(command, number)
            except _Beyond:
                self.beyond(line, number)

    def branch(self, word: str, line: str) -> None:
        if word == "if":
            try:
                match = _TEST.fullmatch(line)
                self.branches.append(self.test(self.commands(match[1])[0]) if match else None)
            except _Beyond:
                self.branches.append(None)
        elif self.branches:
            before = self.branches.pop()
            if word != "fi":
                self.branches.append(None if before is None or word == "elif" else not before)

    def test(self, found: list[str]) -> bool:
        if len(found) == 3 and found[1] in ("=", "==", "!="):
            return (found[0] == found[2]) is not (found[1] == "!=")
        if len(found) == 2 and found[0] in ("-n", "-z"):
            return (found[1] == "") is (found[0] == "-z")
        raise _Beyond

    def command(self, command: list[str], number: int) -> None:
        """Assignments, exports and removals; in a branch that may run, what they touch is undecided."""
        reason = f"{self.file}:{number} may set it" if None in self.branches else ""
        first = command[0] if command else ""
        changed = command[1:] if first in ("export", "unset") else command
        if first not in ("export", "unset") and not all(map(_ASSIGNMENT.fullmatch, command)):
            raise _Beyond
        for word in changed:
            name, sign, value = word.partition("=")
            if first == "export":
                self.exports.add(name)
            if not sign and first != "unset":
                continue
            if reason:
                self.undecided[name] = reason
                continue
            self.undecided.pop(name, None)
            self.values.pop(name, None)
            if sign:
                self.values[name] = value

    def beyond(self, line: str, number: int) -> None:
        """A line that only a shell understands: what it assigns is undecided."""
        names = re.findall(rf"\b({_NAME})=", line)
        reason = f"{self.file}:{number} is more than a plain assignment"
        self.undecided.update(dict.fromkeys(names, reason))
        if line.startswith("export"):
            self.exports.update(names)
        if re.search(r"(^|[;&|\s])(\.|source|eval)\s", line):
            self.unknown = reason

    # ------------------------------------------------------------ words

    def commands(self, text: str) -> list[list[str]]:
        """The words of each command on a line, with variables put in."""
        found: list[list[str]] = [[]]
        at, glued = 0, False
        while at < len(text):
            match = _PIECE.match(text, at)
            if not match:
                if text[at] == "#" and not glued:
                    break
                if text[at] != ";":
                    raise _Beyond
                found.append([])
                at, glued = at + 1, False
                continue
            single, double, bare, space = match.groups()
            at = match.end()
            if space is None:
                piece = single if single is not None else self.expanded(bare if double is None else double)
                if glued:
                    piece = found[-1].pop() + piece
                found[-1].append(piece)
            glued = space is None
        return [command for command in found if command] or [[]]

    def expanded(self, text: str) -> str:
        value = _PARAMETER.sub(self.parameter, text)
        if "\\" in text or "`" in text or "$" in _PARAMETER.sub("", text):
            raise _Beyond
        return value

    def parameter(self, match: re.Match[str]) -> str:
        plain, braced, operator, argument = match.groups()
        name = plain or braced
        if name in self.undecided or (self.unknown and name not in self.values):
            raise _Beyond
        value = self.values.get(name, "")
        if operator == ":-":
            return value or str(argument)
        if operator and operator[0] == "#":
            return value[len(argument) :] if value.startswith(argument) else value
        if operator and operator[0] == "%":
            return value[: len(value) - len(argument)] if value.endswith(argument) else value
        return value

# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shell script that starts php-cgi: what it exports, and what it runs.

A wrapper is straight-line shell: assignments, exports and one command. What goes beyond that (conditions,
loops, functions, substitutions of commands) is not followed: from its line on all that it could have changed
is undecided.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .settings import Setting, undecided
from .source import Problem, Source

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
TOKEN = re.compile(
    r"""(?P<blank>[ \t]+|\\\n)|(?P<comment>\#[^\n]*)|(?P<end>\n|;)|(?P<other>[&|()<>`]+)
    |(?P<word>(?:\\[\s\S]|'[^']*'|"(?:\\[\s\S]|[^"\\])*"|[^\s;&|()<>`'"\\])+)|(?P<bad>.)""",
    re.VERBOSE,
)
VARIABLE = rf"\$(?:(?P<name>{NAME})|\{{(?P<braced>{NAME})(?:(?P<operator>:?[-=])(?P<word>[^}}]*))?\}})"
PIECE = re.compile(
    rf"""\\(?P<escaped>[\s\S])|'(?P<plain>[^']*)'|"(?P<quoted>(?:\\[\s\S]|[^"\\])*)"|{VARIABLE}
    |(?P<beyond>[$`])|[^\\'"$`]+|.""",
    re.VERBOSE,
)
QUOTED_PIECE = re.compile(
    rf"""\\(?P<escaped>[$`"\\\n])|(?P<plain>[^\\$`]+|\\)|(?P<quoted>(?!))|{VARIABLE}|(?P<beyond>[$`])""",
    re.VERBOSE,
)
SHELLS = ("sh", "bash", "dash", "ksh", "zsh", "ash")
HARMLESS = ("umask", "ulimit", "set", "true", "cd", "shift", "echo", "trap", "sleep")
KEYWORDS = (
    *("if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "function"),
    *("{", "}", "!", "[", "[[", "eval", ".", "source"),
)


@dataclass
class Wrapper:
    """What a wrapper runs.

    :param environment: what it exports.
    :param command: the program and its arguments; empty where none was found.
    :param source: the line of the command.
    :param doubt: the first line that is not followed; what is not in `environment` may have been set there.
    """

    file: str
    environment: dict[str, Setting[str]] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)
    source: Source | None = None
    doubt: Problem | None = None
    problems: list[Problem] = field(default_factory=list)

    def variable(self, name: str) -> Setting[str]:
        """What the program finds of a variable: None where it is not set."""
        if name in self.environment:
            return self.environment[name]
        if self.doubt:
            return undecided(self.doubt.reason, self.doubt.source)
        return Setting(None, default_of="the wrapper")


def parse(text: str, file: str) -> Wrapper:
    return Script(text, file).run()


class Script:
    """Runs a script in mind, command by command."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.wrapper = Wrapper(file)
        self.variables: dict[str, Setting[str]] = {}
        self.exported: set[str] = set()

    def run(self) -> Wrapper:
        first = self.text.partition("\n")[0]
        shell = first[2:].split()[:1] if first.startswith("#!") else ["sh"]
        if not shell or shell[0].rpartition("/")[2] not in SHELLS:
            self.doubt(Source(self.wrapper.file, 1), f"{first!r} is no shell that is followed")
        else:
            for line, words, beyond in commands(self.text):
                source = Source(self.wrapper.file, line)
                if beyond:
                    self.doubt(source, beyond)
                elif self.command(words, source):
                    break
        self.wrapper.environment = {
            name: self.variables[name] for name in self.exported if name in self.variables
        }
        if not self.wrapper.command:
            where = self.wrapper.doubt.source if self.wrapper.doubt else Source(self.wrapper.file, 1)
            self.wrapper.problems.append(Problem(where, "no command that runs PHP is found"))
        return self.wrapper

    def command(self, words: list[str], source: Source) -> bool:
        """Do one command; whether it ends the script."""
        local: dict[str, Setting[str]] = {}
        while words and re.match(rf"{NAME}=", words[0]):
            name, _equals, value = words.pop(0).partition("=")
            local[name] = self.expand(value, source)
        if not words:
            self.variables.update(local)
            return False
        program = words[0]
        if program in KEYWORDS or re.match(rf"{NAME}\(", program):
            self.doubt(source, f"{program!r} is beyond straight-line shell")
        elif program in ("export", "readonly"):
            self.export(words[1:], source, program == "export")
        elif program == "unset":
            for name in words[1:]:
                self.variables.pop(name, None)
        elif program == ":":
            for word in words[1:]:
                self.expand(word, source)
        elif program not in HARMLESS:
            return self.start(words, local, source)
        return False

    def export(self, words: list[str], source: Source, exports: bool) -> None:
        for word in words:
            name, equals, value = word.partition("=")
            if equals:
                self.variables[name] = self.expand(value, source)
            if exports:
                self.exported.add(name)

    def start(self, words: list[str], local: dict[str, Setting[str]], source: Source) -> bool:
        """`exec program …`, or the program alone. `env` may come between."""
        ends = words[0] == "exec"
        words = words[1:] if ends else words
        if words[:1] and words[0].rpartition("/")[2] == "env":
            words = words[1:]
            while words and re.match(rf"{NAME}=", words[0]):
                name, _equals, value = words.pop(0).partition("=")
                local[name] = self.expand(value, source)
        arguments = [self.expand(word, source) for word in words]
        if not arguments:
            return False
        if any(argument.undecided for argument in arguments):
            self.doubt(source, next(argument.undecided for argument in arguments if argument.undecided))
            return ends
        program = arguments[0].value or ""
        if not ends and "php" not in program:
            self.doubt(source, f"what {program} does is not followed")
            return False
        self.variables.update(local)
        self.exported.update(local)
        self.wrapper.command = [argument.value or "" for argument in arguments]
        self.wrapper.source = source
        return True

    def expand(self, word: str, source: Source, pieces: re.Pattern[str] = PIECE) -> Setting[str]:
        """A word without its quotes, and with the variables that the script has set."""
        parts: list[str] = []
        for piece in pieces.finditer(word):
            if piece["beyond"]:
                return undecided(f"{word!r} is more than a variable", source)
            if piece["quoted"] is not None:
                value = self.expand(piece["quoted"], source, QUOTED_PIECE)
            elif piece["name"] or piece["braced"]:
                value = self.reference(
                    piece["name"] or piece["braced"], piece["operator"] or "", piece["word"] or "", source
                )
            elif piece["escaped"] is not None:
                value = Setting(piece["escaped"].replace("\n", ""))
            else:
                value = Setting(piece.group() if piece["plain"] is None else piece["plain"])
            if value.undecided:
                return value
            parts.append(value.value or "")
        return Setting("".join(parts), source)

    def reference(self, name: str, operator: str, word: str, source: Source) -> Setting[str]:
        """`$NAME`, `${NAME:-word}`, `${NAME:=word}`. A wrapper starts with nothing set (SUX-12)."""
        known = self.variables.get(name)
        if known and (known.value or known.undecided or not operator):
            return known
        if self.wrapper.doubt or not operator:
            return undecided(f"${name} is not set in the script", source)
        value = self.expand(word, source)
        if operator.endswith("="):
            self.variables[name] = value
        return value

    def doubt(self, source: Source, reason: str) -> None:
        """From here on nothing is certain that was not said after it."""
        if self.wrapper.doubt is None:
            self.wrapper.doubt = Problem(source, reason)
        for name, known in self.variables.items():
            self.variables[name] = known if known.undecided else undecided(reason, source)


def commands(text: str) -> list[tuple[int, list[str], str]]:
    """The commands with line and words; the third says what is beyond straight-line shell, if anything."""
    found: list[tuple[int, list[str], str]] = []
    words: list[str] = []
    line, begun, beyond = 1, 1, ""
    for token in [*TOKEN.finditer(text), None]:
        kind = token.lastgroup if token else "end"
        if kind == "end":
            if words or beyond:
                found.append((begun, words, beyond))
            words, beyond = [], ""
        elif token and kind in ("word", "other", "bad"):
            if not words and not beyond:
                begun = line
            if kind == "word":
                words.append(token.group().replace("\\\n", ""))
            else:
                beyond = beyond or f"{token.group()!r} is beyond straight-line shell"
        line += token.group().count("\n") if token else 0
    return found

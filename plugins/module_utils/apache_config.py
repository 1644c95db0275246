# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Apache's configuration as Apache reads it: its files, in its order, as a tree of directives.

Apache evaluates `Include`, `Define`, `LoadModule`, `Use` and sections such as `<IfModule>` while it reads,
each with what it has read so far; so does this reader. It keeps branches that are not taken, and says
`UNDECIDED` where the answer depends on something that it cannot see. Where Apache would refuse the
configuration, it notes a problem and reads on. What the directives mean is not its business.
"""

from __future__ import annotations

import enum
import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ansible_collections.webhosting.fastcgi.plugins.module_utils.shell_environment import (
    Environment,
    apache_environment,
)
from ansible_collections.webhosting.fastcgi.plugins.module_utils.source import Problem, Source, Tree

SPACE = " \t\n\v\f\r"  # what C's isspace() knows; Python's own idea of space is wider
MAX_INCLUDE_DEPTH = 128
MAX_MACRO_DEPTH = 64
MAX_READS = 100_000  # files and macros that are read: a bound on includes that multiply each other

# The modules in Debian's binary; `apache2 -l` lists them.
STATIC_MODULES = (
    "core.c",
    "mod_so.c",
    "mod_watchdog.c",
    "http_core.c",
    "mod_log_config.c",
    "mod_logio.c",
    "mod_version.c",
    "mod_unixd.c",
)
# `x_module` stands in mod_x.c, save for these.
MODULE_FILES = {
    "core_module": "core.c",
    "http_module": "http_core.c",
    "ldap_module": "util_ldap.c",
    "mpm_event_module": "event.c",
    "mpm_itk_module": "mpm_itk.c",
    "mpm_prefork_module": "prefork.c",
    "mpm_worker_module": "worker.c",
}
# What `<IfDirective>` and `<IfSection>` can be told about without a list of what each module brings.
CORE_DIRECTIVES = frozenset(
    (
        *("<directory", "<directorymatch", "<else", "<elseif", "<files", "<filesmatch", "<if", "<ifdefine"),
        *("<ifdirective", "<iffile", "<ifmodule", "<ifsection", "<limit", "<limitexcept", "<location"),
        *("<locationmatch", "<virtualhost", "allowoverride", "define", "documentroot", "errordocument"),
        *("include", "includeoptional", "options", "protocols", "serveralias", "servername", "sethandler"),
        *("timeout", "undefine"),
    )
)


class Taken(enum.Enum):
    """Whether a directive is in force, as far as conditions at reading time go."""

    YES = "yes"
    NO = "no"
    UNDECIDED = "undecided"


@dataclass
class Directive:
    """A directive or section as Apache stores it.

    :param name: as written; that of a section begins with `<`.
    :param text: what follows the name, with variables put in.
    :param children: what a section holds; for `Include` and `Use`, what they brought.
    :param reason: why it is not taken, or undecided.
    """

    __slots__ = ("children", "key", "name", "reason", "source", "taken", "text")
    name: str
    key: str
    text: str
    source: Source
    children: list[Directive]
    taken: Taken
    reason: str

    @property
    def args(self) -> list[str]:
        """The arguments as words; a section's up to its last `>`."""
        text = self.text
        if self.name.startswith("<"):
            text = text[: max(text.rfind(">"), 0)]
        return words(text)


@dataclass
class Configuration:
    """Everything that was read.

    :param files: the files in the order that Apache reads them; one that is included twice is there twice.
    :param modules: the modules that are loaded, by both of their names; with the reason where one may
        or may not be.
    """

    directives: list[Directive]
    problems: list[Problem]
    files: list[str]
    modules: dict[str, str]
    server_root: str

    def effective(self) -> Iterator[Directive]:
        """The directives outside of all sections that are, or may be, in force."""
        return effective(self.directives)


def effective(directives: list[Directive]) -> Iterator[Directive]:
    """What is, or may be, in force on one level: conditions, includes and macros open up."""
    for directive in directives:
        if directive.taken is Taken.NO:
            continue
        if directive.key in _TRANSPARENT:
            yield from effective(directive.children)
        elif directive.key not in _FORGOTTEN:
            yield directive


# ---------------------------------------------------------------- words and lines

_PLAIN_WORD = re.compile(rf"[^{SPACE}]+")
_SIMPLE_WORD = re.compile(
    rf"""[{SPACE}]*(?:([^{SPACE}"'\\][^{SPACE}\\]*)(?![^{SPACE}])|"([^"\\]*)")[{SPACE}]*"""
)
_CONTINUED = re.compile(r"\\\r?\n|\0")


def first_word(text: str) -> tuple[str, str]:
    """The first word of a text, without its quotes, and what follows."""
    simple = _SIMPLE_WORD.match(text)
    if simple:
        return simple[1] or simple[2] or "", text[simple.end() :]
    text = text.lstrip(SPACE)
    if not text:
        return "", ""
    quote = text[0] if text[0] in "\"'" else ""
    if quote:
        end = 1
        while end < len(text) and text[end] != quote:
            end += 2 if text[end] == "\\" and text[end + 1 : end + 2] in (quote, "\\") else 1
        word, rest = text[1:end], text[end + 1 :]
    else:
        match = _PLAIN_WORD.match(text)
        end = match.end() if match else len(text)
        word, rest = text[:end], text[end:]
    if "\\" in word:
        word = re.sub(rf"\\([\\{quote}])", r"\1", word)
    return word, rest.lstrip(SPACE)


def words(text: str) -> list[str]:
    """All words of a text."""
    if not ('"' in text or "'" in text or "\\" in text):
        return _PLAIN_WORD.findall(text)
    found = []
    text = text.lstrip(SPACE)
    while text:
        word, text = first_word(text)
        found.append(word)
    return found


def lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a file, trimmed; one that a backslash continues counts as its last line."""
    pieces = text.split("\n")
    if not _CONTINUED.search(text):
        for number, piece in enumerate(pieces if pieces[-1] else pieces[:-1], 1):
            yield number, piece.strip(SPACE)
        return
    last = pieces.pop()
    pending: list[str] = []
    number = 0
    for piece in pieces:
        number += 1
        # Apache's strings end at a null byte, wherever it stands.
        if "\0" in piece:
            piece = piece[: piece.index("\0")]
        else:
            body = piece[:-1] if piece.endswith("\r") else piece
            # The backslash may stand at the end of what came before, where this line is empty.
            before = pending.pop() if pending and not body else ""
            if (before or body).endswith("\\"):
                pending += filter(None, [(before or body)[:-1]])
                continue
            pending += filter(None, [before])
        yield number, ("".join(pending) + piece).strip(SPACE) if pending else piece.strip(SPACE)
        pending = []
    if last or pending:
        yield number + 1, ("".join(pending) + last.split("\0", 1)[0]).strip(SPACE)


# ---------------------------------------------------------------- file name patterns

_MAGIC = re.compile(r"(?:[^\\]|\\.)*?(?:[?*]|\[.*\])", re.DOTALL)


def _pattern(glob: str) -> re.Pattern[str]:
    """A shell pattern for one name, as apr_fnmatch() takes it: a leading dot wants a dot."""
    found = "" if glob.startswith(".") else r"(?!\.)"
    at = 0
    while at < len(glob):
        character = glob[at]
        end = glob.find("]", at + 3 if glob[at + 1 : at + 2] in ("!", "^") else at + 2)
        if character == "*":
            found += ".*"
        elif character == "?":
            found += "."
        elif character == "[" and end > 0:
            members = glob[at + 1 : end]
            negated = members[0] in "!^"
            escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", members[negated:])
            found += f"[{'^' if negated else ''}{escaped}]"
            at = end
        elif character == "\\" and at + 1 < len(glob):
            at += 1
            found += re.escape(glob[at])
        else:
            found += re.escape(character)
        at += 1
    try:
        return re.compile(found, re.DOTALL)
    except re.error:  # a range such as z-a, in which nothing is
        return re.compile(r"(?!)")


# ---------------------------------------------------------------- reading


@dataclass
class _Frame:
    """A section that is open."""

    __slots__ = ("children", "condition", "directive", "key", "reason", "taken")
    directive: Directive | None
    key: str
    children: list[Directive]
    condition: bool
    taken: Taken
    reason: str


@dataclass(frozen=True)
class _Macro:
    name: str
    parameters: list[str]
    body: list[str]
    source: Source


@dataclass
class _Reader:
    tree: Tree
    server_root: str
    environment: Environment
    version: tuple[int, ...]
    # each with the reason why it may or may not be so; none where it is certain
    modules: dict[str, str]
    defines: dict[str, str]
    # by name in lower case, as Apache's own table forgets case
    variables: dict[str, tuple[str, str]] = field(default_factory=dict)
    macros: dict[str, _Macro] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    reads: int = 0

    # ------------------------------------------------------------ lines

    def read(
        self, source: Iterator[tuple[int, str]], file: str, frames: list[_Frame], depth: int, macros: int
    ) -> None:
        """Read lines into the innermost of the open sections."""
        for number, line in source:
            if not line or line[0] == "#":
                continue
            frame = frames[-1]
            if line[0] == "<" and line[1:2] == "/":
                self.close(line, Source(file, number), frames)
                continue
            taken, reason = frame.taken, frame.reason
            if taken is not Taken.NO and "$" in line:
                line, unsure = self.expand(line, file, number)
                if unsure:
                    taken, reason = Taken.UNDECIDED, unsure
            name, text = first_word(line)
            if not name:
                continue
            if name[-1] == ">" and name[1:2] != "/":
                name = name[:-1]
                text = text or (">" if name[:1] == "<" else "")
            key = name.lower() if name.isascii() else name
            directive = Directive(name, key, text, Source(file, number), [], taken, reason)
            frame.children.append(directive)
            if key[:1] == "<":
                self.open(directive, frames, source)
            elif taken is not Taken.NO and key in _EXECUTED:
                self.execute(directive, frames, depth, macros)

    def open(self, directive: Directive, frames: list[_Frame], source: Iterator[tuple[int, str]]) -> None:
        """A section begins; if it is a condition, decide it."""
        key, taken, reason = directive.key, directive.taken, directive.reason
        if key == "<macro" and taken is not Taken.NO:
            self.define_macro(directive, source)
            return
        condition = key in _CONDITIONS
        if condition and taken is not Taken.NO:
            met, why = self.condition(directive)
            if met is Taken.NO or (met is Taken.UNDECIDED and taken is Taken.YES):
                taken, reason = met, f"{why} ({directive.source})"
        frames.append(_Frame(directive, key, directive.children, condition, taken, reason))

    def close(self, line: str, source: Source, frames: list[_Frame]) -> None:
        """A section ends: the innermost one, or Apache would refuse it."""
        frame = frames[-1]
        if frame.condition and frame.taken is not Taken.NO and line[2:].lower() == frame.key[1:] + ">":
            frames.pop()
            return
        name, _ = first_word(line)
        key = "<" + name[2:-1].lower()
        if frame.taken is not Taken.NO:
            if name[-1] != ">":
                key = "<" + name[2:].lower()
                self.problem(source, f"{name} lacks its >")
            elif frame.condition and key == frame.key:
                self.problem(source, f"something follows {name} on its line")
        if key == frame.key:
            frames.pop()
            return
        skipped = next((each.directive for each in frames if each.taken is Taken.NO), None)
        if skipped:
            source = skipped.source  # Apache names the section that it skips
        opened = next((at for at in range(len(frames) - 1, 0, -1) if frames[at].key == key), 0)
        if frame.directive:
            self.problem(source, f"</{frame.directive.name[1:]}> is due, not {name}")
        else:
            self.problem(source, f"{name} closes nothing that was opened in this file")
        if opened:
            del frames[opened:]

    def expand(self, line: str, file: str, number: int) -> tuple[str, str]:
        """A line with its variables put in, and why one of them is undecided."""
        unsure = ""

        def value(match: re.Match[str]) -> str:
            nonlocal unsure
            name = match[1]
            text, reason = self.variables.get(name.lower(), (None, ""))
            if text is None and not reason:
                text, reason = self.environment.get(name)
            if reason:
                unsure = unsure or f"${{{name}}} is undecided: {reason}"
            elif text is not None:
                return text
            elif ":" not in name:
                self.problem(Source(file, number), f"the variable ${{{name}}} is not defined")
            return match[0]

        return re.sub(r"\$\{([^}]*)\}", value, line), unsure

    # ------------------------------------------------------------ conditions

    def condition(self, directive: Directive) -> tuple[Taken, str]:
        """Whether a conditional section is taken, and why."""
        if ">" not in directive.text:
            self.problem(directive.source, f"{directive.name} lacks its >")
            return Taken.UNDECIDED, f"{directive.name} cannot be read"
        if directive.key == "<ifversion":
            return self.version_condition(directive)
        text = directive.text[: directive.text.rindex(">")]
        negated = text.startswith("!")
        argument, _ = first_word(text[negated:])
        if not argument:
            self.problem(directive.source, f"{directive.name}> lacks its argument")
            return Taken.UNDECIDED, f"{directive.name} has no argument"
        met, why = self.test(directive.key, argument)
        if met is not Taken.UNDECIDED and negated:
            met = Taken.NO if met is Taken.YES else Taken.YES
        return met, why

    def test(self, key: str, argument: str) -> tuple[Taken, str]:
        if key == "<iffile":
            there = "\0" not in argument and self.exists(self.absolute(argument))
            return (Taken.YES, f"{argument} exists") if there else (Taken.NO, f"{argument} does not exist")
        if key in ("<ifdirective", "<ifsection"):
            known = ("<" if key == "<ifsection" else "") + argument.lower() in CORE_DIRECTIVES
            if known:
                return Taken.YES, f"{argument} is Apache's own"
            return Taken.UNDECIDED, f"whether a module brings {argument} is not known"
        table, what = (self.modules, "loaded") if key == "<ifmodule" else (self.defines, "defined")
        if argument not in table:
            return Taken.NO, f"{argument} is not {what} before it"
        reason = table[argument]
        return (Taken.UNDECIDED, reason) if reason else (Taken.YES, f"{argument} is {what}")

    def version_condition(self, directive: Directive) -> tuple[Taken, str]:
        found = words(directive.text[: directive.text.rindex(">")])
        if len(found) == 1:
            found.insert(0, "=")
        match = re.fullmatch(r"(!?)(=|==|<|<=|>|>=)", found[0]) if len(found) == 2 else None
        if not match or not re.fullmatch(r"\d+(\.\d+){0,2}", found[1], re.ASCII):
            # a regular expression, which only the whole version can answer, or an error
            return Taken.UNDECIDED, f"{directive.name} {directive.text} is not a plain comparison"
        asked = [int(part) for part in found[1].split(".")]
        asked += [0] * (3 - len(asked))
        ours = list(self.version)
        if len(ours) < 3 and asked[: len(ours)] == ours and asked[len(ours) :] != [0] * (3 - len(ours)):
            return Taken.UNDECIDED, f"of Apache's version only {'.'.join(map(str, ours))} is known"
        # What is not known of ours is more than zero: no release has ended in zero.
        ours += [1] * (3 - len(ours))
        order = (ours > asked) - (ours < asked)
        met = {"=": order == 0, "<": order < 0, ">": order > 0}[match[2][0]] or (
            "=" in match[2] and order == 0
        )
        taken = met is not bool(match[1])
        return (Taken.YES if taken else Taken.NO), f"Apache is {'.'.join(map(str, self.version))}"

    # ------------------------------------------------------------ what is done at once

    def execute(self, directive: Directive, frames: list[_Frame], depth: int, macros: int) -> None:
        """Do what Apache does while it reads."""
        key, args, frame = directive.key, directive.args, frames[-1]
        fewest, most = _EXECUTED[key]
        if not fewest <= len(args) <= most or not args[0]:
            self.problem(
                directive.source, f"{directive.name} takes {fewest} argument(s), and here are {len(args)}"
            )
        elif directive.taken is Taken.UNDECIDED and frame.taken is Taken.YES:
            pass  # a variable in it is undecided, and so is what it names
        elif key in ("include", "includeoptional"):
            directive.children = self.include(
                args[0], key == "includeoptional", directive.source, frame, depth + 1
            )
        elif key == "use":
            self.use_macro(directive, args, frames, depth, macros)
        elif key == "undefmacro":
            self.macros.pop(args[0].lower(), None)
        elif key == "serverroot":
            self.server_root = args[0]
        elif key == "loadmodule":
            for name in {args[0], MODULE_FILES.get(args[0]) or f"mod_{args[0][: -len('_module')]}.c"}:
                self.note(self.modules, name, directive)
        elif ":" in args[0]:
            self.problem(directive.source, f"a variable's name must not have a colon, as {args[0]} has")
        elif key == "define":
            self.note(self.defines, args[0], directive)
            if len(args) == 2:
                self.variables[args[0].lower()] = (args[1], _maybe(directive))
        else:
            self.undefine(args[0], directive)

    def note(self, table: dict[str, str], name: str, directive: Directive) -> None:
        """Something is there from now on; or it may be, if it was not there before."""
        reason = _maybe(directive)
        if not reason or name not in table:
            table[name] = reason

    def undefine(self, name: str, directive: Directive) -> None:
        reason = _maybe(directive)
        if not reason:
            self.defines.pop(name, None)
            self.variables.pop(name.lower(), None)
            return
        if name in self.defines:
            self.defines[name] = reason
        if name.lower() in self.variables:
            self.variables[name.lower()] = ("", reason)

    def define_macro(self, directive: Directive, source: Iterator[tuple[int, str]]) -> None:
        """Take the lines up to the end of a macro."""
        open_macros, body = 1, []
        for _, line in source:
            if line.startswith("#"):
                continue
            word = first_word(line)[0].lower()
            open_macros += (word == "<macro") - (word == "</macro>")
            if not open_macros:
                break
            body.append(line)
        else:
            self.problem(directive.source, "<Macro> is not closed in its file")
        args = directive.args
        if not args or "" in args or len(set(args)) < len(args):
            self.problem(directive.source, "<Macro> wants a name, and parameters that differ from each other")
        elif _maybe(directive):
            directive.taken = Taken.UNDECIDED
            self.macros.pop(args[0].lower(), None)
        else:
            name = args[0].lower()
            self.macros[name] = _Macro(name, args[1:], body, directive.source)

    def use_macro(
        self, directive: Directive, args: list[str], frames: list[_Frame], depth: int, macros: int
    ) -> None:
        """Read a macro's lines in place of its use; the sections that are open go on."""
        macro, source = self.macros.get(args[0].lower()), directive.source
        self.reads += 1
        if not macro:
            self.problem(source, f"the macro {args[0]} is not defined before it")
        elif f"macro '{macro.name}'" in source.file or macros >= MAX_MACRO_DEPTH or self.reads > MAX_READS:
            self.problem(source, f"the macro {args[0]} uses itself, or far too many do")
        elif len(args) - 1 != len(macro.parameters):
            self.problem(
                source, f"the macro {args[0]} takes {len(macro.parameters)} arguments, not {len(args) - 1}"
            )
        else:
            # The name under which Apache knows these lines: it tells both places.
            file = (
                f"macro '{macro.name}' (defined on line {macro.source.line} of \"{macro.source.file}\")"
                f' used on line {source.line} of "{source.file}"'
            )
            body = _substituted(macro, args[1:])
            self.read(iter(enumerate(body, 1)), file, frames, depth, macros + 1)

    # ------------------------------------------------------------ files

    def include(
        self, path: str, optional: bool, origin: Source, frame: _Frame, depth: int
    ) -> list[Directive]:
        """What all files that a path or pattern names bring."""
        if "\0" in path:
            self.problem(origin, f"{path!r} is no path")
            return []
        found: list[Directive] = []
        for file in list(self.matches(self.absolute(path), optional, origin)):
            self.reads += 1
            if depth > MAX_INCLUDE_DEPTH or self.reads > MAX_READS:
                # Apache stops here; to read on might never end.
                self.reads = MAX_READS
                self.problem(origin, f"{file} is included within itself, or far too much is")
                break
            found += self.file(file, origin, frame, depth)
        return found

    def file(self, path: str, origin: Source, frame: _Frame, depth: int) -> list[Directive]:
        """What one file brings; its sections must close within it."""
        try:
            # a device or pipe might never end, and Apache refuses it too
            text = self.tree.read(path) if self.tree.is_file(path) else None
        except (OSError, ValueError) as error:
            self.problem(origin, f"{path} cannot be read: {getattr(error, 'strerror', None) or error}")
            return []
        if text is None:
            self.problem(origin, f"{path} is not there, or is no file")
            return []
        self.files.append(path)
        self.look_for_strange_bytes(path, text)
        base = _Frame(None, "", [], False, frame.taken, frame.reason)
        frames = [base]
        self.read(lines(text), path, frames, depth, 0)
        for left in frames[1:]:
            # A branch that is taken may end with its file: Apache does not mind.
            if left.condition and left.taken is not Taken.NO:
                break
            if left.directive:
                self.problem(left.directive.source, f"{left.directive.name}> is not closed in its file")
        return base.children

    def look_for_strange_bytes(self, path: str, text: str) -> None:
        if text.startswith("\ufeff"):
            self.problem(Source(path, 1), "a byte order mark, which Apache takes for a part of the word")
        if "\0" in text:
            line = text.count("\n", 0, text.index("\0")) + 1
            self.problem(Source(path, line), "a null byte: Apache does not see the rest of its line")

    def absolute(self, path: str) -> str:
        return "/" + posixpath.normpath(posixpath.join("/", self.server_root, path)).lstrip("/")

    def matches(self, path: str, optional: bool, origin: Source) -> Iterator[str]:
        """The files that a path or pattern names, in Apache's order."""
        paths = [""]
        parts = path.strip("/").split("/")
        for at, part in enumerate(parts):
            if _MAGIC.match(part):
                last = at == len(parts) - 1
                paths = [
                    name
                    for parent in paths
                    for name in self.named(parent or "/", part, last, optional, origin)
                ]
            else:
                paths = [f"{parent}/{part}" for parent in paths]
        for found in paths:
            yield from self.below(found, optional, origin, 0)

    def named(self, directory: str, glob: str, last: bool, optional: bool, origin: Source) -> list[str]:
        pattern = _pattern(glob)
        names = [name for name in self.names(directory, origin) if pattern.fullmatch(name)]
        found = [posixpath.join(directory, name) for name in names]
        if not last:
            # Apache does not look behind links here.
            found = [path for path in found if self.tree.is_directory(path) and not self.tree.is_link(path)]
        if not found and not optional:
            self.problem(origin, f"nothing matches {glob} in {directory}")
        return found

    def names(self, directory: str, origin: Source) -> list[str]:
        try:
            return sorted(self.tree.names(directory), key=os.fsencode)
        except OSError as error:
            self.problem(origin, f"{directory} cannot be read: {error.strerror}")
            return []

    def below(self, path: str, optional: bool, origin: Source, depth: int) -> Iterator[str]:
        """A file, or everything below a directory."""
        if self.tree.is_directory(path):
            if depth >= MAX_INCLUDE_DEPTH:
                self.problem(origin, f"{path} is nested more than {MAX_INCLUDE_DEPTH} deep")
                return
            for name in self.names(path, origin):
                yield from self.below(posixpath.join(path, name), optional, origin, depth + 1)
        elif not optional or self.exists(path):
            yield path

    def exists(self, path: str) -> bool:
        return os.path.exists(self.tree.real(path))

    def problem(self, source: Source, reason: str) -> None:
        self.problems.append(Problem(source, reason))


def _maybe(directive: Directive) -> str:
    """Why something that Apache does while it reads may not be done."""
    if directive.taken is not Taken.UNDECIDED:
        return ""
    return f"{directive.name} {directive.text} at {directive.source} is undecided: {directive.reason}"


def _substituted(macro: _Macro, values: list[str]) -> list[str]:
    """A macro's lines with values for its parameters; of two that begin alike the longer one counts."""
    if not values:
        return macro.body
    replacement = {
        # a parameter named @… brings its own quotes
        name: '"' + re.sub(r'(["\\])', r"\\\1", value) + '"' if name.startswith("@") else value
        for name, value in zip(macro.parameters, values)
    }
    longest_first = sorted(replacement, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)))
    return [pattern.sub(lambda match: replacement[match[0]], line) for line in macro.body]


_CONDITIONS = ("<ifmodule", "<ifdefine", "<ifversion", "<iffile", "<ifdirective", "<ifsection")
_TRANSPARENT = frozenset((*_CONDITIONS, "include", "includeoptional", "use"))
# what Apache does while it reads and then forgets, and how many arguments it takes
_EXECUTED = {
    "define": (1, 2),
    "include": (1, 1),
    "includeoptional": (1, 1),
    "loadmodule": (2, 2),
    "serverroot": (1, 1),
    "undefine": (1, 1),
    "undefmacro": (1, 1),
    "use": (1, 10**6),
}
_FORGOTTEN = frozenset((*_EXECUTED, "<macro", "defaultruntimedir", "loadfile"))


def read(
    tree: Tree,
    path: str = "/etc/apache2/apache2.conf",
    server_root: str = "/etc/apache2",
    environment: Environment | None = None,
    defines: Iterable[str] = (),
    static_modules: Iterable[str] = STATIC_MODULES,
    version: tuple[int, ...] = (2, 4),
) -> Configuration:
    """Read Apache's configuration.

    :param environment: what the daemon is started with; without it, that of the envvars file beside `path`.
    :param defines: what stands behind `-D` on the daemon's command line.
    :param static_modules: the source files of the modules in the binary, as `apache2 -l` lists them.
    :param version: as much of Apache's version as is known.
    """
    if environment is None:
        environment = apache_environment(tree, posixpath.dirname(path))
    reader = _Reader(
        tree,
        server_root,
        environment,
        version,
        modules=dict.fromkeys(static_modules, ""),
        defines=dict.fromkeys(defines, ""),
    )
    origin = Source(path, 0)
    outside = _Frame(None, "", [], False, Taken.YES, "")
    directives = reader.include(path, False, origin, outside, 0)
    return Configuration(directives, reader.problems, reader.files, reader.modules, reader.server_root)

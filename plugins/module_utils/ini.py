# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PHP's ini syntax, as php.ini, .user.ini, `-d` and the files of PHP-FPM have it.

The scanner follows PHP's own in its normal mode: in each state the longest match wins, and among equal ones
the first. So an unquoted `on` is 1, `5 & 3` is 1, a `#` begins a name and no comment, and what PHP refuses
is refused here. Whoever reads a line that PHP stops at gets all before it, as PHP does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .settings import atoi
from .source import Problem, Source

Variable = Callable[[str], "str | None"]
"""What `${NAME}` stands for; None where that cannot be told."""


class Statement(NamedTuple):
    """`[name]`, `name = value`, `name[key] = value`, or a name alone, which means nothing."""

    kind: str  # section | entry | element | bare
    name: str
    key: str
    value: str
    source: Source
    undecided: str = ""  # why the value cannot be told


TRUE = ("true", "on", "yes")
WORDS = {**dict.fromkeys(TRUE, "1"), **dict.fromkeys(("false", "off", "no", "none", "null"), "")}
CONSTANTS = {
    "E_ERROR": 1,
    "E_WARNING": 2,
    "E_PARSE": 4,
    "E_NOTICE": 8,
    "E_CORE_ERROR": 16,
    "E_CORE_WARNING": 32,
    "E_COMPILE_ERROR": 64,
    "E_COMPILE_WARNING": 128,
    "E_USER_ERROR": 256,
    "E_USER_WARNING": 512,
    "E_USER_NOTICE": 1024,
    "E_STRICT": 2048,
    "E_RECOVERABLE_ERROR": 4096,
    "E_DEPRECATED": 8192,
    "E_USER_DEPRECATED": 16384,
    "E_ALL": 32767,
}
PERHAPS_CONSTANT = re.compile(r"[A-Z][A-Z0-9]*_[A-Z0-9_]+\Z")

# Nearly every line is one of these; they come out as the scanner below would have them.
PLAIN_SECTION = re.compile(r"\[([A-Za-z0-9_.-]+)\][ \t]*\r?\n")
PLAIN_LINE = re.compile(
    r"""[ \t]*
    (?:([A-Za-z_][\w.-]*)(?:\[([\w.-]+)\])?[ \t]*=[ \t]*(?:([\w./:,@%*+-]+)|"([^"$\\\r\n]*)"|)[ \t]*)?
    (?:;[^\r\n]*)?\r?\n""",
    re.ASCII | re.VERBOSE,
)

LABEL = r"""[^=\n\r\t;&|^$~(){}!"\[\0]+"""
NEWLINE = r"(?:\r\n|\r|\n)"
VALUE_CHARS = r"""(?:[^$= \t\n\r;&|^~()!"'\0]|\$(?:\\[\s\S]|[^{\0]))+"""
SECTION_CHARS = r"""(?:[^$\n\r;"'\]\\]|\\[\s\S]|\$(?:\\[\s\S]|[^{\0]))+"""
QUOTED = r'(?:[^"$\\]|\$(?!\{)|\\(?!"(?:[\r\n]|\Z))[\s\S]|\\(?="(?:[\r\n]|\Z))|\\\Z)+'
"""Up to the closing quote or a variable. A backslash before the last quote of a line escapes nothing."""
RULES: dict[str, list[tuple[str, re.Pattern[str]]]] = {
    state: [(token, re.compile(pattern, re.IGNORECASE)) for token, pattern in rules]
    for state, rules in {
        "start": [
            ("[", r"\["),
            ("OFFSET", LABEL + r"\[[ \t]*"),
            ("LABEL", LABEL + r"\Z"),
            ("WORD", r"(?:true|on|yes|false|off|none|no|null)[ \t]*"),
            ("LABEL", LABEL),
            ("=", r"[ \t]*=[ \t]*"),
            ("OTHER", r"""[:,.\[\]"'()&|^+\-/*=%$!~<>?@{}]"""),
            ("BLANK", r"[ \t]+"),
            ("EOL", rf"[ \t]*{NEWLINE}"),
            ("EOL", rf"[ \t]*;[^\r\n]*(?:{NEWLINE}|\Z)"),
        ],
        "value": [
            ("RAW", r"'[^']+'"),
            ("END", r"'[^']*\Z"),
            ("${", r"\$\{"),
            ("WORD", r"(?:true|on|yes|false|off|none|no|null)[ \t]*"),
            ("EOL", rf"[ \t]*{NEWLINE}"),
            ("CONSTANT", r"[a-z_][a-z0-9_]*"),
            ("OPERATOR", r"[&|^~()!][ \t]*"),
            ("AGAIN=", r"="),
            ("STRING", VALUE_CHARS),
            ('"', r'[ \t]*"'),
            ("STRING", r"[ \t]+"),
            ("EOL", rf"[ \t]*;[^\r\n]*(?:{NEWLINE}|\Z)"),
            ("EOL", r"[\s\S]"),
        ],
        "offset": [
            ("RAW", r"'[^']+'"),
            ("END", r"'[^']*\Z"),
            ("]", r"[ \t]*\]"),
            ("${", r"\$\{"),
            ("CONSTANT", r"[a-z_][a-z0-9_]*"),
            ("STRING", SECTION_CHARS),
            ('"', r'[ \t]*"'),
            ("STRING", r"[ \t]+"),
        ],
        "section": [
            ("RAW", r"'[^']+'"),
            ("END", r"'[^']*\Z"),
            ("]", rf"\][ \t]*{NEWLINE}?"),
            ("${", r"\$\{"),
            ("STRING", SECTION_CHARS),
            ('"', r'[ \t]*"'),
            ("STRING", r"[ \t]+"),
        ],
        "variable": [("NAME", LABEL), ("}", r"\}")],
        "quoted": [("${", r"\$\{"), ('"', r'"[ \t]*'), ("QUOTED", QUOTED)],
    }.items()
}
ESCAPE = re.compile(r'\\(["\\$])')


class Refused(Exception):
    """PHP's parser stops here."""


def nothing_known(name: str) -> None:
    """No variable can be told."""


def parse(
    text: str, file: str, variable: Variable = nothing_known, first_line: int = 1
) -> Iterator[Statement | Problem]:
    """The statements of a file in its order; after a Problem nothing more comes, as PHP stops there."""
    return Parser(text, file, variable, first_line).statements()


def parse_lines(text: str, file: str, variable: Variable = nothing_known) -> Iterator[Statement | Problem]:
    """The statements of a file that is taken line by line, as FPM does; a Problem ends its line only."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line:
            continue
        line = line.partition("\0")[0] + "\n"
        section = PLAIN_SECTION.fullmatch(line) if line[0] == "[" else None
        match = PLAIN_LINE.fullmatch(line)
        found = plain(match) if match else None
        if section:
            yield Statement("section", section[1], "", "", Source(file, number))
        elif found is None:
            yield from Parser(line, file, variable, number).statements()
        elif found[0]:
            name, key, value = found
            yield Statement("element" if key else "entry", name, key, value, Source(file, number))


class Parser:
    """Reads statements; peeks one token ahead."""

    def __init__(self, text: str, file: str, variable: Variable, first_line: int) -> None:
        self.text = text
        self.file = file
        self.variable = variable
        self.position = 1 if text.startswith("\ufeff") else 0
        self.line = first_line
        self.counted = 0
        self.state = "start"
        self.outer: list[str] = []
        self.ahead: tuple[str, str] | None = None
        self.undecided = ""
        self.start = self.begun = Source(file, first_line)

    def source(self) -> Source:
        """The line of the position, as an editor counts."""
        self.line += self.text.count("\n", self.counted, self.position)
        self.counted = self.position
        return Source(self.file, self.line)

    def statements(self) -> Iterator[Statement | Problem]:
        while True:
            if self.ahead is None and self.state == "start":
                match = PLAIN_LINE.match(self.text, self.position)
                found = plain(match) if match else None
                if match and found:
                    name, key, value = found
                    if name:
                        yield Statement("element" if key else "entry", name, key, value, self.source())
                    self.position = match.end()
                    continue
            try:
                read = self.statement()
            except Refused as error:
                yield Problem(self.begun, f"syntax error at {error}: PHP reads no further")
                return
            if read is None:
                return
            if read.kind:
                yield read

    def statement(self) -> Statement | None:
        """The next statement; of no kind where there is only the end of a line."""
        token, text = self.take()
        source = self.begun = self.start
        self.undecided = ""
        if token == "END":
            return None
        if token == "EOL":
            return Statement("", "", "", "", source)
        if token == "LABEL":
            if self.peek() != "=":
                return Statement("bare", text, "", "", source)
            self.take()
            self.state = "value"
            return Statement("entry", text, "", self.value(), source, self.undecided)
        if token == "[":
            self.state = "section"
            name = "" if self.peek() == "]" else self.strings(constants=False)
            self.expect("]")
            return Statement("section", name, "", "", source, self.undecided)
        if token == "OFFSET":
            self.state = "offset"
            key = "" if self.peek() == "]" else self.strings()
            self.expect("]")
            self.state = "start"
            self.expect("=")
            self.state = "value"
            return Statement("element", text, key, self.value(), source, self.undecided)
        raise Refused(repr(text))

    def value(self) -> str:
        if self.peek() == "WORD":
            return self.take()[1]
        if self.peek() == "EOL":
            self.take()
            return ""
        return self.expression()

    def expression(self) -> str:
        """Operators of one rank, from the left."""
        left = self.operand()
        while self.peek() in ("|", "&", "^"):
            operator, _text = self.take()
            one, other = atoi(left), atoi(self.operand())
            left = str({"|": one | other, "&": one & other, "^": one ^ other}[operator])
        return left

    def operand(self) -> str:
        signs = []
        while self.peek() in ("~", "!"):
            signs.append(self.take()[0])
        if self.peek() == "(":
            self.take()
            value = self.expression()
            self.expect(")")
        else:
            value = self.strings()
        for sign in reversed(signs):
            value = str(~atoi(value) if sign == "~" else int(not atoi(value)))
        return value

    def strings(self, constants: bool = True) -> str:
        """What stands side by side is one string."""
        parts: list[str] = []
        while True:
            token = self.peek()
            if token in ("RAW", "STRING"):
                parts.append(self.take()[1])
            elif token == "CONSTANT":
                name = self.take()[1]
                parts.append(self.constant(name) if constants else name)
            elif token == "${":
                parts.append(self.reference())
            elif token == '"':
                self.take()
                parts.append(self.quoted())
            elif parts:
                return "".join(parts)
            else:
                raise Refused(repr(self.take()[1]))

    def quoted(self) -> str:
        parts: list[str] = []
        while self.peek() != '"':
            if self.peek() == "${":
                parts.append(self.reference())
            elif self.peek() == "QUOTED":
                parts.append(ESCAPE.sub(r"\1", self.take()[1]))
            else:
                raise Refused("the end of the file: a quote is not closed")
        self.take()
        return "".join(parts)

    def reference(self) -> str:
        self.expect("${")
        name = self.expect("NAME").strip(" \t")
        self.expect("}")
        value = None if ":-" in name else self.variable(name)
        if value is None:
            self.undecided = f"it depends on ${{{name}}}"
        return value or ""

    def constant(self, name: str) -> str:
        if name in CONSTANTS:
            return str(CONSTANTS[name])
        if PERHAPS_CONSTANT.match(name):
            self.undecided = f"{name} may be a constant of PHP"
        return name

    def expect(self, token: str) -> str:
        found = self.take()
        if found[0] != token:
            raise Refused(repr(found[1]))
        return found[1]

    def peek(self) -> str:
        if self.ahead is None:
            self.ahead = self.scan()
        return self.ahead[0]

    def take(self) -> tuple[str, str]:
        token = self.ahead or self.scan()
        self.ahead = None
        return token

    def scan(self) -> tuple[str, str]:
        """The next token; changes the state where the text alone says so."""
        while True:
            self.start = self.source()
            if self.position >= len(self.text):
                if self.state == "value":
                    self.state = "start"
                    return "EOL", "the end of the line"
                return "END", "the end of the file"
            token, text = self.longest()
            self.position += len(text)
            if token != "BLANK":
                return self.token(token, text)

    def longest(self) -> tuple[str, str]:
        best = ("END", "")
        for token, pattern in RULES[self.state]:
            match = pattern.match(self.text, self.position)
            if match and match.end() - match.start() > len(best[1]):
                best = (token, match.group())
        return best

    def token(self, token: str, text: str) -> tuple[str, str]:
        if token in ("LABEL", "NAME"):
            return token, text.strip(" \t")
        if token == "OFFSET":
            return token, text.rstrip(" \t[").strip(" \t")
        if token == "WORD":
            return token, WORDS[text.strip(" \t").lower()]
        if token == "RAW":
            return token, text[1:-1]
        if token == "OPERATOR":
            return text[0], text
        if token == "EOL" or (token == "]" and self.state == "section"):
            self.state = "start"
        elif token == "AGAIN=":
            self.state = "start"
            self.position -= 1
            return "EOL", text
        elif token == "}" or (token == '"' and self.state == "quoted"):
            self.state = self.outer.pop()
        elif token in ("${", '"') and self.state != "start":
            self.outer.append(self.state)
            self.state = "variable" if token == "${" else "quoted"
        return token, text


def plain(match: re.Match[str]) -> tuple[str, str, str] | None:
    """Name, key and value of an ordinary line; None where it is not that ordinary."""
    name, key, bare, quoted = match.groups()
    if name is None:
        return "", "", ""
    if name.lower() in WORDS or (key and PERHAPS_CONSTANT.match(key)):
        return None
    value = bare or quoted or ""
    if bare and bare.isidentifier():
        if bare.lower() in WORDS:
            value = WORDS[bare.lower()]
        elif PERHAPS_CONSTANT.match(bare):
            return None
    return name, key or "", value

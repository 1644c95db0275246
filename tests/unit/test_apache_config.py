"""Apache's configuration is read as Apache reads it, and nothing that is written in it breaks the reader."""

import json
from pathlib import Path

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils import apache_config as apache
from ansible_collections.webhosting.fastcgi.plugins.module_utils.shell_environment import (
    Environment,
    exported,
)
from ansible_collections.webhosting.fastcgi.plugins.module_utils.source import Tree
from hypothesis import given
from hypothesis import strategies as st

CORPUS = Path(__file__).resolve().parents[1] / "corpus/apache/reading"


def cases(kind):
    return [pytest.param(case, id=case.name) for case in sorted((CORPUS / kind).iterdir())]


def shown(directives, depth=0):
    """Directives as Apache's own dump shows them."""
    found = []
    for directive in apache.effective(directives):
        place = directive.source
        found.append([place.file, place.line, depth, f"{directive.name.lower()} {directive.text}"])
        found += shown(directive.children, depth + 1)
    return found


def everything(directives):
    for directive in directives:
        yield directive
        yield from everything(directive.children)


def read_text(tmp_path, text, **given):
    (tmp_path / "apache2.conf").write_bytes(text.encode("utf-8", "surrogateescape"))
    return apache.read(Tree(str(tmp_path)), "/apache2.conf", "/", **given)


def states(configuration):
    """Whether each `Timeout` is in force, by its value."""
    timeouts = (d for d in everything(configuration.directives) if d.key == "timeout")
    return {directive.text: directive.taken.value for directive in timeouts}


# ---------------------------------------------------------------- the corpus


@pytest.mark.parametrize("case", cases("right"))
def test_what_apache_accepts(case):
    configuration = apache.read(Tree(str(case)))
    assert configuration.problems == []
    assert shown(configuration.directives) == json.loads((case / "expected.json").read_text())["directives"]


@pytest.mark.parametrize("case", cases("wrong"))
def test_what_apache_refuses_is_a_problem_at_the_same_place(case):
    problems = apache.read(Tree(str(case))).problems
    assert str(problems[0].source) == json.loads((case / "expected.json").read_text())["refused"]


# Bytes that no file of this project may hold; tried with Apache all the same.
LINES = [
    ("a\r\nb\r\n", [(1, "a"), (2, "b")]),
    ("a \\\r\nb\r\nc", [(2, "a b"), (3, "c")]),
    ("a\\\n\\\n\\\nb", [(4, "ab")]),
    ("a\\\\\n\nb\n", [(3, "ab")]),
    ("a\\ \nb\\", [(1, "a\\"), (2, "b\\")]),
    ("\\\n", []),
    ("\v\fa\u2028b\x85\n", [(1, "a\u2028b\x85")]),
    ("a\0b\\\nc\n", [(1, "a"), (2, "c")]),
]


@pytest.mark.parametrize(("text", "expected"), LINES)
def test_lines_end_where_apache_ends_them(text, expected):
    assert list(apache.lines(text)) == expected


def test_a_byte_order_mark_is_a_problem(tmp_path):
    configuration = read_text(tmp_path, "\ufeffTimeout 5\n")
    assert [str(problem.source) for problem in configuration.problems] == ["/apache2.conf:1"]
    assert [directive.name for directive in configuration.directives] == ["\ufeffTimeout"]


# ---------------------------------------------------------------- what nobody can know

UNDECIDED = [
    ("<IfVersion >= 2.4.10>\nTimeout 1\n</IfVersion>", {"1": "undecided"}),
    ("<IfVersion >= 2.4>\nTimeout 1\n</IfVersion>", {"1": "yes"}),
    ("<IfVersion = 2.4>\nTimeout 1\n</IfVersion>", {"1": "no"}),
    ("<IfVersion ~ 2.[46]>\nTimeout 1\n</IfVersion>", {"1": "undecided"}),
    ("<IfDirective FcgidWrapper>\nTimeout 1\n</IfDirective>", {"1": "undecided"}),
    ("<IfDirective !FcgidWrapper>\nTimeout 1\n</IfDirective>", {"1": "undecided"}),
    ("<IfDefine x>\nTimeout 1\n</IfDefine>", {"1": "no"}),
    # what such a branch does is undecided from there on, and what was certain before stays so
    (
        "Define b\n<IfDirective X>\nDefine a\nDefine b\nLoadModule ssl_module x\n</IfDirective>\n"
        "<IfDefine a>\nTimeout 1\n</IfDefine>\n<IfDefine !a>\nTimeout 2\n</IfDefine>\n"
        "<IfDefine b>\nTimeout 3\n</IfDefine>\n<IfModule mod_ssl.c>\nTimeout 4\n</IfModule>",
        {"1": "undecided", "2": "undecided", "3": "yes", "4": "undecided"},
    ),
    (
        "Define b\n<IfDirective X>\nUnDefine b\n</IfDirective>\n<IfDefine b>\nTimeout 1\n</IfDefine>",
        {"1": "undecided"},
    ),
    # an undecided branch within one that is not taken is not taken
    ("<IfDefine x>\n<IfDirective X>\nTimeout 1\n</IfDirective>\n</IfDefine>", {"1": "no"}),
    ("<IfDirective X>\n<IfDefine x>\nTimeout 1\n</IfDefine>\n</IfDirective>", {"1": "no"}),
    ("Define v 1\n<IfDirective X>\nDefine v 2\n</IfDirective>\nTimeout ${v}", {"${v}": "undecided"}),
]


@pytest.mark.parametrize(("text", "expected"), UNDECIDED)
def test_what_cannot_be_known_is_undecided_and_says_why(tmp_path, text, expected):
    configuration = read_text(tmp_path, text)
    assert states(configuration) == expected
    for directive in everything(configuration.directives):
        assert bool(directive.reason) is (directive.taken is not apache.Taken.YES)


def test_what_is_known_of_the_daemon_decides(tmp_path):
    text = (
        "<IfVersion >= 2.4.10>\nTimeout 1\n</IfVersion>\n<IfDefine x>\nTimeout 2\n</IfDefine>\n"
        "<IfModule mod_ssl.c>\nTimeout 3\n</IfModule>\nTimeout ${limit}"
    )
    environment = Environment({"limit": "4"})
    configuration = read_text(
        tmp_path,
        text,
        version=(2, 4, 62),
        defines=["x"],
        static_modules=["mod_ssl.c"],
        environment=environment,
    )
    assert states(configuration) == {"1": "yes", "2": "yes", "3": "yes", "4": "yes"}


def test_a_variable_that_is_not_there_stays_as_it_is_written(tmp_path):
    configuration = read_text(tmp_path, "Timeout 1\nTimeout ${limit}")
    assert states(configuration) == {"1": "yes", "${limit}": "yes"}
    assert [str(problem.source) for problem in configuration.problems] == ["/apache2.conf:2"]


def test_includes_that_multiply_each_other_come_to_an_end(tmp_path):
    for number in range(100):
        (tmp_path / f"{number}.conf").write_text(f"Include /{number + 1}.conf\n" * 2)
    configuration = read_text(tmp_path, "Include /0.conf")
    assert configuration.problems


# ---------------------------------------------------------------- the environment

SHELL = [
    ("export A=1", {"A": "1"}, {}),
    ("A=1\nexport A", {"A": "1"}, {}),
    ("A=1", {}, {}),
    ("export A='x y'\nexport B=\"$A/z\" # why", {"A": "x y", "B": "x y/z"}, {}),
    ("export A=1\nunset A", {}, {}),
    ('S=\nexport A=/run$S B="${S:-none}"', {"A": "/run", "B": "none"}, {}),
    (
        'D=/etc/x-y\nif [ "${D##/etc/x-}" != "${D}" ] ; then\n\texport A=in\nelse\n\texport A=out\nfi',
        {"A": "in"},
        {},
    ),
    ('if [ -n "$NONE" ]; then\nexport A=1\nfi', {}, {}),
    ("export A=1\nif [ -f /x ]; then\nexport A=2\nfi", {"A": "1"}, {"A"}),
    ("export A=$(hostname)\nexport B=x$A\nexport C=2", {"C": "2"}, {"A", "B"}),
    ("for A in 1 2; do\nexport A=3\ndone\nexport B=4", {"B": "4"}, {"A"}),
    ("ulimit -n 8192\nexport A=1", {"A": "1"}, {}),
]


@pytest.mark.parametrize(("text", "values", "undecided"), SHELL)
def test_what_a_shell_file_exports(text, values, undecided):
    environment = exported(text, "/envvars", {})
    assert (environment.values, set(environment.undecided)) == (values, set(undecided))


def test_after_a_file_that_is_sourced_nothing_is_certain():
    environment = exported("export A=1\n. /etc/default/locale", "/envvars", {})
    assert environment.get("A") == ("1", "")
    assert environment.get("LANG") == (None, "/envvars:2 is more than a plain assignment")


# ---------------------------------------------------------------- any text at all

PIECES = st.sampled_from(
    [
        *(
            "<IfModule ",
            "<IfDefine !",
            "<IfVersion ",
            "<IfFile ",
            "<IfDirective ",
            "<Directory ",
            "<Macro ",
            "</",
        ),
        *(
            "IfModule>",
            "Macro>",
            "Directory>",
            ">",
            "Use ",
            "Define ",
            "UnDefine ",
            "Include ",
            "IncludeOptional ",
        ),
        *(
            "LoadModule ",
            "ServerRoot ",
            "${",
            "}",
            "${a}",
            "a ",
            "b ",
            '"',
            "'",
            "\\",
            "\n",
            "\n",
            "\n",
            "\r\n",
        ),
        *(
            "\\\n",
            "*",
            "[",
            "]",
            "?",
            "/",
            "..",
            "apache2.conf",
            "#",
            "\0",
            "\ufeff",
            "\u2028",
            "core.c",
            "x>",
            "!",
        ),
    ]
)
TEXTS = st.one_of(st.text(), st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=40).map("".join))


class Files(Tree):
    """A host that has one file."""

    def __init__(self, text):
        super().__init__("/nonexistent")
        self.text = text

    def read(self, path):
        return self.text

    def is_file(self, path):
        return path == "/etc/apache2/apache2.conf"

    def names(self, directory):
        return ["apache2.conf"] if directory == "/etc/apache2" else []


@given(TEXTS)
def test_any_text_is_read_and_every_problem_has_its_place(text):
    configuration = apache.read(Files(text), environment=Environment())
    for problem in configuration.problems:
        assert problem.source.file
        assert problem.source.line > 0
        assert problem.reason
    for directive in everything(configuration.directives):
        assert directive.source.line > 0
        assert isinstance(directive.args, list)


@given(
    st.one_of(
        st.text(),
        st.lists(st.one_of(PIECES, st.sampled_from(["export ", "A=", "$A", "if ", "fi"]))).map("".join),
    )
)
def test_any_text_of_a_shell_is_read(text):
    exported(text, "/envvars", {})

"""What PHP reads: ini syntax, FPM's files, php.ini, wrappers, units. Expected values are PHP 8.2's own."""

from __future__ import annotations

import os

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils import (
    fpm_config,
    ini,
    php_ini,
    systemd_units,
    wrappers,
)
from ansible_collections.webhosting.fastcgi.plugins.module_utils.php_servers import PhpServers
from ansible_collections.webhosting.fastcgi.plugins.module_utils.source import Problem, Source, Tree
from hypothesis import given
from hypothesis import strategies as st

# ---------------------------------------------------------------- ini

ENVIRONMENT = {"HOME": "/root"}

# a line, what PHP has in the end
VALUES = [
    ("a = 5", "5"),
    ("a=5", "5"),
    ("a\t=\t5 ; comment", "5"),
    ("a =", ""),
    ("a = On", "1"),
    ("a = none", ""),
    ("a = nonesuch", "nonesuch"),
    ("a = null", ""),
    ('a = "on"', "on"),
    ("a = 'it is ; raw $x'", "it is ; raw $x"),
    ('a = "one" two \'three\'', "onetwo three"),
    ('a = "say \\"x\\" \\n"', 'say "x" \\n'),
    ('a = "C:\\path\\"', "C:\\path\\"),
    ('a = "over\ntwo lines"', "over\ntwo lines"),
    ("a = 5 | 2", "7"),
    ("a = 5 & 3 | 8", "9"),
    ("a = ~5", "-6"),
    ("a = !0", "1"),
    ("a = (1 | 2) & 2", "2"),
    ("a = E_ALL & ~E_NOTICE", "32759"),
    ("a = ${HOME}/x", "/root/x"),
    ('a = "${HOME}/${NOBODY}x"', "/root/x"),
    ("a = one two", "one two"),
    ("a = ''", ""),
    ("a = $x", "$x"),
    ("a = 1\r", "1"),
]  # fmt: skip


def statements(text, **options):
    return list(ini.parse(text, "x.ini", lambda name: ENVIRONMENT.get(name, ""), **options))


@pytest.mark.parametrize(("line", "value"), VALUES)
def test_ini_value(line, value):
    found = statements(f"; first\n{line}\n")
    assert (found[0].kind, found[0].name, found[0].value) == ("entry", "a", value)
    assert found[0].source == Source("x.ini", 2)


# a text that PHP stops at, and the line
REFUSED = [
    ("a = 1\nb = on x\n", 2),
    ("\n\na = 1 (\n", 3),
    ('a = "never closed\n\n', 1),
    ("[section\n", 1),
    ("  [section]\n", 1),
    ("a = b = c\n", 1),
    ("a = ${}\n", 1),
    ("on = 1\n", 1),
    ("a[x = 1\n", 1),
    ("{\n", 1),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), REFUSED)
def test_ini_ends_where_php_stops(text, line):
    *before, problem = statements(text + "after = 1\n")
    assert isinstance(problem, Problem)
    assert problem.source == Source("x.ini", line)
    assert "after" not in [statement.name for statement in before]


def test_ini_kinds():
    found = statements("[a b]\nx[k] = 1\nx[] = 2\n# no comment\n\ufeff = 3\n")
    assert [(one.kind, one.name, one.key, one.value, one.source.line) for one in found] == [
        ("section", "a b", "", "", 1),
        ("element", "x", "k", "1", 2),
        ("element", "x", "", "2", 3),
        ("bare", "# no comment", "", "", 4),
        ("entry", "\ufeff", "", "3", 5),
    ]


@pytest.mark.parametrize("value", ["${UNKNOWN}", "PHP_SOMETHING", "x${A:-b}"])
def test_ini_value_that_cannot_be_told(value):
    (found,) = ini.parse(f"a = {value}\n", "x.ini")
    assert found.undecided
    assert found.source == Source("x.ini", 1)


# ---------------------------------------------------------------- FPM

# what is said, what FPM makes of it
CONVERTED = [
    (fpm_config.seconds, "300", 300),
    (fpm_config.seconds, "5m", 300),
    (fpm_config.seconds, "1h", 3600),
    (fpm_config.seconds, "2d", 172800),
    (fpm_config.seconds, "500ms", 500),
    (fpm_config.seconds, "1.5m", 60),
    (fpm_config.seconds, "-5", -5),
    (fpm_config.integer, "", 0),
    (fpm_config.integer, "-7", -7),
    (fpm_config.boolean, "on", True),
    (fpm_config.boolean, "", False),
    (fpm_config.core, "Unlimited", -1),
    (php_ini.number, "128M", 134217728),
    (php_ini.number, "1g", 1073741824),
    (php_ini.number, "30s", 30),
    (php_ini.number, "0x10", 16),
    (php_ini.number, "-1", -1),
    (php_ini.number, "no", 0),
    (systemd_units.time_span, "5min 20s", 320),
    (systemd_units.time_span, "1h30m", 5400),
    (systemd_units.time_span, "90", 90),
    (systemd_units.time_span, "1.5min", 90),
    (systemd_units.time_span, "infinity", float("inf")),
    (systemd_units.time_span, "soon", None),
    (systemd_units.time_span, "", None),
    (systemd_units.words, """a "b c" 'd "e"' f\\x20g "h\\"i" """, ["a", "b c", 'd "e"', "f g", 'h"i']),
    (systemd_units.unescaped, "var-www\\x2dsites", "var/www-sites"),
]  # fmt: skip


@pytest.mark.parametrize(("convert", "text", "value"), CONVERTED)
def test_conversion(convert, text, value):
    assert convert(text) == value


@pytest.mark.parametrize(
    ("convert", "text"),
    [
        (fpm_config.seconds, "1x"),
        (fpm_config.seconds, ""),
        (fpm_config.integer, "1s"),
        (fpm_config.boolean, "x"),
    ],
)
def test_fpm_refuses(convert, text):
    with pytest.raises(ValueError, match=r"\w"):
        convert(text)


def host(root, files):
    for path, text in files.items():
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, errors="surrogateescape")
    return Tree(str(root))


POOL = "user = uk\nlisten = /run/$pool.sock\npm = static\npm.max_children = 1\n"


def test_fpm_includes_end_at_five_deep(tmp_path):
    files = {f"/f{depth}": f"include = /f{depth + 1}\n" for depth in range(1, 7)}
    config = fpm_config.read(host(tmp_path, {**files, "/f7": f"[uk]\n{POOL}"}), "/f1")
    assert [str(problem) for problem in config.problems] == [
        "/f5:1: /f6 is included more than 5 files deep",
        "/f1:1: no pool is defined: FPM does not start without one",
    ]


def test_fpm_file_that_is_missing(tmp_path):
    config = fpm_config.read(host(tmp_path, {"/etc/x": ""}), "/etc/fpm.conf")
    assert str(config.problems[0]) == "/etc/fpm.conf:1: /etc/fpm.conf cannot be read: there is no such file"


def test_fpm_paths_lie_below_the_prefix(tmp_path):
    text = f"[global]\npid = run/x\n[a]\n{POOL}slowlog = slow\n[b]\nprefix = own\n{POOL}listen = b.sock\n"
    config = fpm_config.read(host(tmp_path, {"/f": text}), "/f", "/pre")
    assert config.main.get("pid").value == "/pre/run/x"
    assert config.pools[0].get("slowlog").value == "/pre/slow"
    assert config.pools[1].get("listen").value == "/pre/own/b.sock"


@pytest.mark.parametrize(
    ("limits", "beat"),
    [
        ([(305, 0)], 101.666),
        ([(305, 15)], 5.0),
        ([(305, 0), (9, 0)], 3.0),
        ([(0, 0)], 0.0),
        ([(0, 30)], 10.0),
        ([(-1, 0)], 0.13),
    ],
)
def test_heartbeat_is_the_least_of_all_pools(tmp_path, limits, beat):
    text = "".join(
        f"[p{number}]\n{POOL}slowlog=/tmp/s\n"
        f"request_terminate_timeout = {end}\nrequest_slowlog_timeout = {slow}\n"
        for number, (end, slow) in enumerate(limits)
    )
    config = fpm_config.read(host(tmp_path, {"/f": text}), "/f")
    assert config.heartbeat().value == beat


# ---------------------------------------------------------------- php.ini


def startup(**options):
    return php_ini.Startup("/etc/php/8.2/cgi", "cgi-fcgi", **options)


FILES = {
    "/etc/php/8.2/cgi/php.ini": "a = default\nb = default\n",
    "/etc/php/8.2/cgi/conf.d/10.ini": "b = scanned\n",
    "/etc/php/8.2/cgi/conf.d/10.ini.off": "b = off\n",
    "/other/php.ini": "a = other\n",
    "/other/php-cgi-fcgi.ini": "a = special\n",
    "/one.ini": "a = one\n",
    "/more/20.ini": "b = more\n",
}


@pytest.mark.parametrize(
    ("options", "a", "b"),
    [
        ({}, "default", "scanned"),
        ({"phprc": "/other"}, "special", "scanned"),
        ({"phprc": "/one.ini"}, "one", "scanned"),
        ({"phprc": "/nowhere"}, "default", "scanned"),
        ({"config": "/one.ini", "phprc": "/other"}, "one", "scanned"),
        ({"config": "/nowhere"}, None, "scanned"),
        ({"scan_directory": ""}, "default", "default"),
        ({"scan_directory": ":/more"}, "default", "more"),
        ({"scan_directory": "/more:"}, "default", "scanned"),
        ({"search": ("/other",)}, "special", "scanned"),
        ({"defines": ("a=d", "b")}, "d", "1"),
        ({"defines": ("a=/x;y",)}, "/x;y", "scanned"),
        ({"no_files": True}, None, None),
        ({"no_files": True, "config": "/one.ini"}, "one", None),
    ],
)
def test_php_ini_that_is_read(tmp_path, options, a, b):
    found = php_ini.read(host(tmp_path, FILES), startup(**options))
    assert (found.get("a").value, found.get("b").value) == (a, b)


def test_user_ini_of_a_tenant_who_means_harm(tmp_path):
    tree = host(
        tmp_path, {"/etc/secret": "a = secret\n", "/big/.user.ini": "a = 1\n" + ";" * php_ini.USER_INI_LIMIT}
    )
    for name in ("link", "pipe", "folder"):
        (tmp_path / name).mkdir()
    (tmp_path / "link/.user.ini").symlink_to(tmp_path / "etc/secret")
    os.mkfifo(tmp_path / "pipe/.user.ini")
    (tmp_path / "folder/.user.ini").mkdir()
    for name in ("link", "big", "folder"):
        found = php_ini.read_user_ini(tree, f"/{name}", ".user.ini")
        assert found.values == {}
        assert found.problems[0].source == Source(f"/{name}/.user.ini", 1)
    assert php_ini.read_user_ini(tree, "/pipe", ".user.ini").values == {}


def test_php_ini_elsewhere_is_read_with_care(tmp_path):
    tree = host(tmp_path, FILES)
    (tmp_path / "link").mkdir()
    (tmp_path / "link/php.ini").symlink_to("/etc/php/8.2/cgi/php.ini")
    host(tmp_path, {"/big/php.ini": ";" * (php_ini.FILE_LIMIT + 1)})
    for name in ("/link", "/big"):
        found = php_ini.read(tree, startup(phprc=name))
        assert found.unknown
        assert found.unknown.source == Source(f"{name}/php.ini", 1)


# ---------------------------------------------------------------- wrappers

# a script, what the program finds of A, and the program
SCRIPTS = [
    ("export A=1\nexec /usr/bin/php-cgi -d x=y\n", "1", ["/usr/bin/php-cgi", "-d", "x=y"]),
    ("A=1; export A\nexec php-cgi\n", "1", ["php-cgi"]),
    ("A=1\nexec php-cgi\n", None, ["php-cgi"]),
    ("export A\nA=2\nphp-cgi\n", "2", ["php-cgi"]),
    ("A=3 exec php-cgi", "3", ["php-cgi"]),
    ("exec env A=4 php-cgi\n", "4", ["php-cgi"]),
    (": ${A:=5}\nexport A\nexec php-cgi\n", "5", ["php-cgi"]),
    ("B=b\nexport A=\"$B-${B}c\" # end\nexec php-cgi\n", "b-bc", ["php-cgi"]),
    ("export A='a b'\\''c'\nexec php-cgi \\\n  -c '/x y'\n", "a b'c", ["php-cgi", "-c", "/x y"]),
    ("export A=1\nunset A\nexec php-cgi\n", None, ["php-cgi"]),
    ("umask 022\nexport A=6\nexec php-cgi\necho never\n", "6", ["php-cgi"]),
]  # fmt: skip


@pytest.mark.parametrize(("script", "value", "command"), SCRIPTS)
def test_wrapper(script, value, command):
    found = wrappers.parse(f"#!/bin/sh\n{script}", "/w")
    assert found.variable("A").value == value
    assert not found.variable("A").undecided
    assert found.command == command
    assert found.problems == []


# a script, and the line that leaves A undecided
DOUBTFUL = [
    ("export A=$(date)\nexec php-cgi\n", 2),
    ("export A=`date`\nexec php-cgi\n", 2),
    ("export A=1\nif true; then export A=2; fi\nexec php-cgi\n", 3),
    ("export A=1\n. /etc/default/php\nexec php-cgi\n", 3),
    ("export A=1\n[ -f /x ] && A=2\nexec php-cgi\n", 3),
    ("export A=$B\nexec php-cgi\n", 2),
    ("export A=1\n/usr/local/bin/prepare\nexec php-cgi\n", 3),
    ("export A='1\nexec php-cgi\n", 2),
]  # fmt: skip


@pytest.mark.parametrize(("script", "line"), DOUBTFUL)
def test_wrapper_that_is_more_than_straight_lines(script, line):
    setting = wrappers.parse(f"#!/bin/sh\n{script}", "/w").variable("A")
    assert setting.value is None
    assert setting.undecided
    assert setting.source == Source("/w", line)


def test_wrapper_in_another_language():
    found = wrappers.parse("#!/usr/bin/perl\nexec '/usr/bin/php-cgi';\n", "/w")
    assert found.command == []
    assert str(found.variable("A")) == "undecided (/w:1: '#!/usr/bin/perl' is no shell that is followed)"


# ---------------------------------------------------------------- units

UNITS = {
    "/lib/systemd/system/a-b@.service": "[Service]\nUser=%i-%p\nTimeoutStopSec=1\nKillMode=none\n",
    "/lib/systemd/system/a-b@.service.d/10.conf": "[Service]\nTimeoutStopSec=2\nKillSignal=SIGINT\n",
    "/etc/systemd/system/a-b@.service.d/20.conf": "[Service]\nTimeoutStopSec=3\n",
    "/etc/systemd/system/a-b@x.service.d/10.conf": "[Service]\nGroup=x\n",
    "/etc/systemd/system/a-.service.d/30.conf": "[Service]\nKillMode=process\n",
    "/lib/systemd/system/host.service": "[Service]\nExecStart=/bin/x --host=%H\nEnvironment=A=1 H=%H\n",
    "/lib/systemd/system/masked.service": "[Service]\nExecStart=/bin/x\n",
    "/lib/systemd/system/both.service": "[Service]\nExecStart=/bin/old\nEnvironment=A=1\n",
    "/etc/systemd/system/both.service": (
        "[Service]\nExecStart=/bin/new \\\n# between\n  --end\nEnvironment=B=1\nEnvironment=\n"
    ),
}


def test_units_and_their_drop_ins(tmp_path):
    tree = host(tmp_path, UNITS)
    (tmp_path / "etc/systemd/system/masked.service").symlink_to("/dev/null")
    units = systemd_units.Units(tree)
    unit = units.get("a-b@x.service")
    assert unit.last("User").value == "x-a-b"
    assert unit.last("Group").value == "x"
    assert unit.last("KillMode").value == "process"
    assert unit.last("KillSignal").value is None  # the file of the same name for x alone replaces it
    assert str(unit.stop_timeout(units.default_stop_timeout())) == (
        "3.0 (/etc/systemd/system/a-b@.service.d/20.conf:2)"
    )
    assert units.get("masked.service") is None
    assert units.get("none.service") is None
    unit = units.get("host.service")
    assert systemd_units.command(unit, {})[1].undecided == "%H is known to the running systemd only"
    assert systemd_units.environment(tree, unit)["A"].value == "1"
    assert systemd_units.environment(tree, unit)["H"].undecided
    both = units.get("both.service")
    assert systemd_units.command(both, {})[0] == ["/bin/new", "--end"]
    assert systemd_units.environment(tree, both) == {}


# ---------------------------------------------------------------- any input at all

PIECES = [
    *(
        "${A}",
        "$pool",
        "include=*",
        "[global]",
        "[uk]",
        "listen=9000",
        "pm",
        "=static",
        "on",
        "none",
        "5",
        "5m",
    ),
    *("1.5m", "E_ALL", "-1", "99999999999999", "chroot", "$prefix", "request_terminate_timeout="),
    *(
        "php_admin_value[x]=",
        "[PATH=/a]",
        "[HOST=b]",
        "export ",
        "exec ",
        "php-cgi ",
        "${A:=",
        "if ",
        "fi",
        "A=1",
    ),
    *("[Service]", "ExecStart=/usr/sbin/php-fpm8.2 ", "Environment=", "%i", "%H", "TimeoutStopSec="),
    *("FPM_SOCKETS=a=3", "--fpm-config ", "/f", "-y", "-c", "-d", "prefix"),
]
WORDS = st.sampled_from([*"=\n\r\t ;#\"'\\$`{}[]()|&^~!<>%@:,.-", "\0", "\ufeff", "\udcff", *PIECES])
TEXTS = st.one_of(st.lists(WORDS, max_size=20).map("".join), st.text(st.characters(), max_size=40))


def assert_clear(problems, file=None):
    for problem in problems:
        assert problem.source.line >= 1
        assert problem.source.file.startswith("/")
        assert file is None or problem.source.file == file
        assert problem.reason


@given(TEXTS)
def test_any_text_as_ini(text):
    found = list(ini.parse(text, "/x"))
    assert_clear([one for one in found if isinstance(one, Problem)], "/x")
    assert all(1 <= one.source.line <= text.count("\n") + 1 for one in found)


class OneFile(Tree):
    """A host of a single file."""

    def __init__(self, text):
        super().__init__("/nonexistent")
        self.text = text

    def read(self, path):
        return self.text

    def is_file(self, path):
        return path == "/f"


@given(TEXTS)
def test_any_text_as_fpm(text):
    config = fpm_config.read(OneFile(text), "/f")
    assert_clear([*config.problems, *config.warnings], "/f")
    assert config.heartbeat().undecided or config.heartbeat().value >= 0
    for section in (config.main, *config.pools):
        for key in section.keys:
            setting = section.get(key)
            assert setting.source is None or setting.source.file == "/f"


@given(TEXTS, st.sampled_from(["a", "max_execution_time"]))
def test_any_text_as_php_ini(text, name):
    found = php_ini.read(OneFile(text), startup(config="/f", defines=(text,), defined_at=Source("/u", 3)))
    assert_clear(found.problems)
    assert found.get(name).undecided or php_ini.number(found.get(name).value or "") is not None
    found.special(name, text, text)


@given(TEXTS)
def test_any_text_as_wrapper(text):
    found = wrappers.parse(text, "/f")
    assert_clear([*found.problems, *([found.doubt] if found.doubt else [])], "/f")
    assert found.command or found.problems
    for setting in found.environment.values():
        assert setting.undecided or setting.value is not None


class OneUnit(OneFile):
    """A host with one service, of which `text` is the file."""

    def names(self, directory):
        return {"/etc/systemd/system": ["php.service", "php.socket"]}.get(directory, [])

    def is_directory(self, path):
        return path == "/etc/systemd/system"

    def is_file(self, path):
        return path.startswith(("/etc/systemd/system/", "/f"))


@given(TEXTS, TEXTS)
def test_any_text_as_unit(text, more):
    servers = PhpServers(OneUnit(f"[Service]\nExecStart=/usr/sbin/php-fpm8.2 -y /f {more}\n{text}"), ["/f"])
    assert_clear(servers.problems)
    servers.behind(text)
    for backend in servers.backends:
        assert_clear(backend.problems)
        assert backend.stop_timeout.value is not None or backend.stop_timeout.undecided

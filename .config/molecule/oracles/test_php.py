"""What the collection reads of a host's PHP, against what PHP-FPM, PHP and systemd say of it themselves.

Runs at the end of every scenario, on whatever that has built; and for hosts with FPM on the corpus too.
"""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
import signal
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / ".collections"))

from ansible_collections.webhosting.fastcgi.plugins.module_utils import (  # noqa: E402
    fpm_config,
    php_ini,
    systemd_units,
)
from ansible_collections.webhosting.fastcgi.plugins.module_utils.php_servers import PhpServers  # noqa: E402
from ansible_collections.webhosting.fastcgi.plugins.module_utils.source import Tree  # noqa: E402

CORPUS = ROOT / "tests" / "corpus" / "php"
VERSION = "8.2"
CASES = sorted(path.name for path in CORPUS.iterdir() if list(path.glob("host/etc/*/**/*fpm*/**/*.conf")))
COPIED = (
    *("etc/php", "etc/fastcgi", "etc/systemd", "etc/tmpfiles.d", "usr/lib/tmpfiles.d", "lib/systemd/system"),
    *("usr/lib/systemd/system", "run/systemd", "usr/bin", "usr/sbin", "etc/alternatives", "etc/default"),
)
IN_SECONDS = (
    *("emergency_restart_interval", "process_control_timeout", "systemd_interval"),
    *("request_slowlog_timeout", "request_terminate_timeout"),
)


@pytest.fixture(scope="module")
def fpm(host):
    """The program of a host that has it."""
    programs = host.run("ls /usr/sbin | grep -x 'php-fpm[0-9.]*'").stdout.split()
    if not programs:
        pytest.skip("no PHP-FPM here")
    return f"/usr/sbin/{programs[0]}"


@pytest.fixture(scope="module")
def copy(host, tmp_path_factory):
    """The host's configuration, copied; of programs only the links among them."""
    root = tmp_path_factory.mktemp("host")
    wanted = "-type l -print0 -o -type f ! -path 'usr/*bin/*' -print0"
    pack = "tar --create --null --files-from=- | base64 --wrap=0"
    packed = host.run(f"cd / && find {' '.join(COPIED)} {wanted} 2>/dev/null | {pack}").stdout
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed))) as archive:
        archive.extractall(root, filter="fully_trusted")
    limit = host.check_output("cat /proc/sys/net/core/somaxconn")
    (root / "proc/sys/net/core").mkdir(parents=True)
    (root / "proc/sys/net/core/somaxconn").write_text(limit + "\n")
    return Tree(str(root))


@pytest.fixture(scope="module")
def servers(copy, fpm):
    found = PhpServers(copy)
    assert found.masters
    return found


def test_fpm_reads_every_key_alike(host, copy, servers):
    for unit, config in servers.masters:
        user = unit.last("User").value or "root"
        compare(host.run(f"runuser -u {user} -- sh -c %s", asking(host, copy, unit, config)), config)


def test_php_has_the_limits_that_its_files_say(host, servers, fpm):
    output = host.check_output(f"{fpm} -i")
    php = next(b.ini for b in servers.backends if b.kind == "fpm" and b.unit.startswith("php"))
    for name in php_ini.DEFAULTS:
        shown = re.search(rf"^{re.escape(name)} => .* => (.*)$", output, re.MULTILINE)
        assert shown and shown.group(1) == php.get(name).value, name
    read = re.search(r"^Loaded Configuration File => (.*)$", output, re.MULTILINE).group(1)
    more = re.search(r"^Additional .ini files parsed => ((?:.*,\n)*.*)$", output, re.MULTILINE).group(1)
    assert php.files == [read, *re.findall(r"[^\s,]+", more)]


def test_systemd_takes_units_alike(host, copy, servers):
    """Every unit whose file is at hand; systemd itself knows of more, that it made from other things."""
    units = systemd_units.Units(copy)
    names = [name for name in units.names(".service") if units.get(name)]
    properties = "Id,TimeoutStopUSec,KillMode,KillSignal,User,Environment,LoadState"
    shown = host.check_output(f"systemctl show --property={properties} -- {shlex.join(names)}")
    compared = 0
    for block in shown.split("\n\n"):
        told = dict(line.split("=", 1) for line in block.splitlines())
        unit = units.get(told["Id"])
        if not unit or told["LoadState"] != "loaded":
            continue
        compared += 1
        assert unit.stop_timeout(units.default_stop_timeout()).value == systemd_units.time_span(
            told["TimeoutStopUSec"]
        ), unit.name
        assert (unit.last("KillMode").value or "control-group") == told["KillMode"], unit.name
        number = told["KillSignal"]
        assert (unit.last("KillSignal").value or "SIGTERM") == signal.Signals(int(number)).name, unit.name
        if not unit.last("User").undecided:
            assert (unit.last("User").value or "") == told["User"], unit.name
    assert compared > len(servers.masters)


@pytest.mark.parametrize("case", CASES)
def test_corpus_is_what_fpm_says(host, fpm, case):
    """The files of a case in the place of the host's own, for one process."""
    if not fpm.endswith(VERSION):
        pytest.skip(f"the corpus is of PHP {VERSION}")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(CORPUS / case / "host", ".")
    host.check_output("rm -rf /tmp/corpus && mkdir /tmp/corpus")
    host.check_output(
        "echo %s | base64 --decode | tar --extract --gzip --directory=/tmp/corpus",
        base64.b64encode(packed.getvalue()).decode(),
    )
    tree = Tree(str(CORPUS / case / "host"))
    for unit, config in PhpServers(tree).masters:
        folder = f"/etc/php/{VERSION}/fpm" if config.file.startswith("/etc/php") else "/etc/fastcgi"
        place = f"mkdir -p {folder} && mount --bind /tmp/corpus{folder} {folder}"
        done = host.run("unshare --mount sh -c %s", f"{place} && {asking(host, tree, unit, config)}")
        if config.problems:
            assert done.rc != 0
            assert f"[{config.problems[0].source}]" in done.stdout
        else:
            compare(done, config)


def asking(host, tree, unit, config):
    """The command that has FPM show its configuration. Its log must be readable here, so the master's file is
    included in one that says where the log goes."""
    variables = systemd_units.environment(tree, unit)
    arguments, _line = systemd_units.command(unit, variables)
    text = f"include = {config.file}\n[global]\nerror_log = /dev/null\nlog_level = notice\n"
    host.check_output("printf %s > /tmp/oracle.conf", text)
    arguments = ["/tmp/oracle.conf" if argument == config.file else argument for argument in arguments]
    arguments = [argument for argument in arguments if argument not in ("--nodaemonize", "-F")]
    known = [f"{name}={setting.value}" for name, setting in variables.items() if not setting.undecided]
    return f"exec env {shlex.join([*known, *arguments])} -tt 2>&1"


def compare(done, config):
    """Every key but the two that were said differently; what cannot be told may be anything."""
    assert done.rc == 0, done.stdout
    theirs, mine = (
        [line for line in lines if not line.startswith(("error_log =", "log_level ="))]
        for lines in (dumped(done.stdout), expected(config))
    )
    assert [line.partition(" = ")[0] for line in mine] == [line.partition(" = ")[0] for line in theirs]
    assert [pair for pair in zip(mine, theirs) if pair[0] != pair[1] and "undecided" not in pair[0]] == []


def test_corpus_has_cases_for_fpm():
    assert len(CASES) > 5
    assert all(json.loads((CORPUS / case / "expected.json").read_text()) for case in CASES)


def dumped(output: str) -> list[str]:
    """What `php-fpm -tt` says of the configuration, without times and levels of its log."""
    lines = re.findall(r"^\[[^]]*\] NOTICE: (\[(?!pool )[^]]*\]|\t.*)$", output, re.MULTILINE)
    return [line.strip() for line in lines]


def expected(config: fpm_config.FpmConfig) -> list[str]:
    """The same from the collection's parser; a value that it cannot tell is `undecided`."""
    return [line for section in (config.main, *config.pools) for line in expected_section(section)]


def expected_section(section: fpm_config.Section) -> list[str]:
    lines = [f"[{section.name}]"]
    for key in section.keys:
        if key != "apparmor_hat":  # FPM does not show it
            lines.append(f"{key} = {shown(section, key)}".rstrip())
        if key == "access.format":
            lines += listed(section, "access.suppress_path")
    return lines + [
        line for kind in ("env", "php_value", "php_admin_value") for line in listed(section, kind)
    ]


def shown(section: fpm_config.Section, key: str) -> str:
    setting = section.get(key)
    value = setting.value
    if setting.undecided:
        return "undecided"
    if value is None or (key == "process.priority" and value == 64):
        return "undefined"
    if key == "log_level":
        return value.upper() if setting.source else "unknown value"
    if value is True or value is False:
        return "yes" if value else "no"
    return f"{value}s" if key in IN_SECONDS else str(value)


def listed(section: fpm_config.Section, kind: str) -> list[str]:
    """FPM keeps its lists with the last line first."""
    return [
        f"{kind}[{key}] = {'undecided' if setting.undecided else setting.value}".rstrip()
        for key, setting in reversed(section.lists.get(kind, []))
    ]

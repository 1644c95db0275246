"""The reader of Apache's configuration, on the host under test, against Apache itself.

Runs at the end of every scenario, on whatever that has built.
"""

import base64
import io
import json
import re
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
PACKAGE = Path("ansible_collections/webhosting/fastcgi/plugins/module_utils")
MODULES = ("apache_config", "apache_handlers", "apache_workers", "shell_environment", "source")
# It runs there with that host's Python, since that is where the module will run.
READ = """
import json
from ansible_collections.webhosting.fastcgi.plugins.module_utils import apache_config, apache_handlers, source

found = []

def walk(directives, depth):
    for directive in apache_config.effective(directives):
        place = directive.source
        found.append([place.file, place.line, depth, f"{directive.name.lower()} {directive.text}"])
        if directive.taken is not apache_config.Taken.YES:
            found[-1].append(directive.reason)
        walk(directive.children, depth + 1)

read = apache_config.read(source.Tree())
walk(read.directives, 0)
hosts = {
    str(host.source): [host.server_name.value, *(alias.value for alias in host.aliases)]
    for host in apache_handlers.analyse(read).hosts
    if host.source
}
problems = list(map(str, read.problems))
print(json.dumps({"files": read.files, "problems": problems, "directives": found, "hosts": hosts}))
"""


@pytest.fixture(scope="module")
def read(host):
    """What the collection's own reader makes of the configuration."""
    if not host.file("/usr/sbin/apache2").exists:
        pytest.skip("no Apache here")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as collection:
        for name in MODULES:
            collection.write(PROJECT / f"plugins/module_utils/{name}.py", PACKAGE / f"{name}.py")
        for package in (PACKAGE, *PACKAGE.parents[:-1]):
            collection.writestr(f"{package}/__init__.py", "")
    encoded = base64.b64encode(archive.getvalue()).decode()
    host.check_output("echo %s | base64 -d >/run/collection.zip", encoded)
    return json.loads(host.check_output("PYTHONPATH=/run/collection.zip python3 -c %s", READ))


def apache(host, *arguments):
    """What Apache says of its configuration. It needs mod_info for that, which it loads last."""
    info = "LoadModule info_module /usr/lib/apache2/modules/mod_info.so"
    shown = " ".join(["%s"] * len(arguments))
    return host.check_output(f". /etc/apache2/envvars; apache2 {shown} -c %s", *arguments, info)


def dumped(text):
    """The directives in what Apache dumps: file, line, depth, text."""
    file, line, found = "", 0, []
    for row in text.splitlines():
        bare = row.lstrip(" ")
        if row.startswith("# In file: "):
            file = row.removeprefix("# In file: ")
        elif number := re.fullmatch(r" *# *([0-9]+):", row):
            line = int(number[1])
        elif bare and not bare.startswith("</"):
            name, _, rest = bare.partition(" ")
            found.append([file, line, (len(row) - len(bare)) // 2, f"{name.lower()} {rest}"])
    return found


def test_every_directive_is_read_as_apache_reads_it(host, read):
    theirs = dumped(apache(host, "-t", "-D", "DUMP_CONFIG"))
    assert len(theirs) > 50  # Debian alone brings more
    assert read["directives"] == theirs
    assert read["problems"] == []


def test_every_file_is_read_in_apaches_order(host, read):
    rows = apache(host, "-t", "-D", "DUMP_INCLUDES").splitlines()
    assert read["files"] == [row.split(") ", 1)[1] for row in rows if re.match(r" +\([0-9*]+\) ", row)]


def test_every_virtual_host_is_known_by_its_names(host, read):
    names: dict[str, str] = {}
    aliases: dict[str, set[str]] = {}
    place = ""
    for row in apache(host, "-t", "-D", "DUMP_VHOSTS").splitlines():
        if named := re.fullmatch(r"(?:\S+| +port \S+ namevhost) +(\S+) \((.+:[0-9]+)\)", row):
            place = named[2]
            names[place] = named[1]
        elif alias := re.fullmatch(r" +(?:wild )?alias (\S+)", row):
            aliases.setdefault(place, set()).add(alias[1])
    assert names
    # A host without a name has that of the machine.
    assert names == {place: ours[0] or names.get(place) for place, ours in read["hosts"].items()}
    # Apache lists aliases only where several hosts share an address.
    assert aliases == {place: set(read["hosts"][place][1:]) for place in aliases}

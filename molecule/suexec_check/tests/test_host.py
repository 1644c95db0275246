"""Every check that depends on the host: binary, log, configuration and caller (S01-S14, SUX-09)."""

import shlex

import pytest

BIN = "/usr/lib/apache2"
CONFIG = "/etc/apache2/suexec/www-data"
WRAPPER = {"path": "/var/www/one/w", "user": "alice", "group": "alice"}
LOG_FOR_ALL = "mkdir -p /var/log/apache2; chmod 0755 /var/log/apache2; touch {0}; chmod 0666 {0}".format(
    "/var/log/apache2/suexec.log"
)


def config(text):
    return f"printf {shlex.quote(text)} > {CONFIG}"


# id; flavour; what is done to the host; exit code; what differs in the call
ROWS = [
    ("configuration missing", "custom", f"rm {CONFIG}", 123, {}),
    ("configuration empty", "custom", f": > {CONFIG}", 124, {}),
    ("a line is missing", "custom", config("/var/www\\n"), 125, {}),
    ("userdir disabled", "custom", config("/var/www\\n#public_html\\n"), 126, {"user": "~alice"}),
    ("docroot disabled", "custom", config("#/var/www\\npublic_html\\n"), 127, {}),
    ("docroot is the root", "custom", config("/\\npublic_html\\n"), 127, {}),
    ("docroot hidden", "custom", config("/.www\\npublic_html\\n"), 128, {}),
    ("docroot with two slashes", "custom", config("//var/www\\npublic_html\\n"), 128, {}),
    ("docroot missing", "custom", config("/var/gone\\npublic_html\\n"), 113, {}),
    ("docroot is a file", "custom", config("/etc/passwd\\npublic_html\\n"), 113, {}),
    ("docroot closed to the user", "pristine", "chmod 0750 /var/www; chgrp www-data /var/www", 113, {}),
    ("docroot elsewhere", "custom", config("/srv\\npublic_html\\n"), 114, {}),
    ("docroot leads to the root", "custom", "ln -s / /srv/all; " + config("/srv/all\\nx\\n"), 114, {}),
    ("docroot written carelessly", "custom", config("/var/www// \\t\\r\\npublic_html"), 0, {}),
    ("docroot is a link", "custom", "ln -s /var/www /srv/link; " + config("/srv/link\\nx\\n"), 0, {}),
    ("docroot is the directory itself", "custom", config("/var/www/one\\nx\\n"), 0, {}),
    ("userdir leads away", "custom", config("#\\n../../var/www\\n"), 0, {"user": "~alice"}),
    ("userdir missing", "custom", config("#\\nx/../../../var/www\\n"), 112, {"user": "~alice"}),
    ("hidden userdir", "custom", "mkdir -p /home/alice/.x; ln -sfn /var/www /home/alice/.x/w; "
     + config("#\\n.x/w\\n"), 0, {"user": "~alice"}),
    ("log has no place", "custom", "mv /var/log/apache2 /var/log/elsewhere", 1, {}),
    ("log is a directory", "pristine", "mkdir /var/log/apache2/suexec.log", 1, {}),
    ("not setuid", "pristine", f"chmod 0754 {BIN}/suexec-pristine", 1, {}),
    ("not setuid, log for all", "pristine", f"chmod 0754 {BIN}/suexec-pristine; {LOG_FOR_ALL}", 109, {}),
    ("not setuid, configuration closed", "custom", f"chmod 0754 {BIN}/suexec-custom; {LOG_FOR_ALL}; "
     f"chmod 0600 {CONFIG}", 123, {}),
    ("of somebody else", "custom", f"chown alice {BIN}/suexec-custom; chmod 4754 {BIN}/suexec-custom", 1, {}),
    ("may change its group alone", "pristine", f"chmod 0754 {BIN}/suexec-pristine; {LOG_FOR_ALL}; "
     f"setcap cap_setgid=ep {BIN}/suexec-pristine", 110, {}),
    ("capabilities instead of setuid", "pristine", f"chmod 0754 {BIN}/suexec-pristine; {LOG_FOR_ALL}; "
     f"setcap cap_setgid,cap_setuid=ep {BIN}/suexec-pristine", 0, {}),
    ("not for the group of Apache", "pristine", f"chgrp root {BIN}/suexec-pristine; "
     f"chmod 4754 {BIN}/suexec-pristine", 255, {}),
    ("called by another account", "pristine", f"chmod 4755 {BIN}/suexec-pristine", 103, {"account": "bob"}),
    ("called by an account without configuration", "custom", f"chmod 4755 {BIN}/suexec-custom", 123,
     {"account": "bob"}),
    ("called by an account with a configuration of its own", "custom",
     f"chmod 4755 {BIN}/suexec-custom; cp {CONFIG} /etc/apache2/suexec/bob", 0, {"account": "bob"}),
]  # fmt: skip

BEFORE = f"""
rm -rf /tmp/kept && mkdir /tmp/kept
cp -a /etc/apache2/suexec {BIN}/suexec-custom {BIN}/suexec-pristine /var/log/apache2 /tmp/kept/
mkdir -p /var/www/one && printf '#!/bin/sh\\nexit 0\\n' > /var/www/one/w
chmod 0755 /var/www/one/w && chown -R alice:alice /var/www/one
mkdir -p /home/alice && chmod 0711 /home/alice
rm -f /var/log/apache2/suexec.log
"""
AFTER = f"""
rm -rf /etc/apache2/suexec /var/log/apache2 /var/log/elsewhere /srv/all /srv/link
cp -a /tmp/kept/suexec /etc/apache2/suexec
cp -a /tmp/kept/apache2 /var/log/apache2
cp -a --remove-destination /tmp/kept/suexec-custom /tmp/kept/suexec-pristine {BIN}/
chmod 0755 /var/www && chown root:root /var/www
"""


@pytest.fixture
def changed(shell):
    """Change the host, and put everything back afterwards."""

    def change(flavour, script):
        shell(f"update-alternatives --set suexec {BIN}/suexec-{flavour}\n{BEFORE}\n{script}")

    yield change
    shell(AFTER)


def named(rows):
    """Parametrize over rows, each shown by its first column."""
    return pytest.mark.parametrize("row", [row[1:] for row in rows], ids=[row[0] for row in rows])


@named(ROWS)
def test_what_is_foretold_comes_true(changed, tell, observe, row):
    flavour, change, exit_code, differs = row
    changed(flavour, change)
    question = [{**WRAPPER, **differs}]
    seen = observe(question)
    assert seen[0]["exit_code"] == exit_code, f"the row provokes something else: {seen}"
    assert tell("/opt/foretell.py", question) == seen


# What Apache never does: id; flavour; who calls, from where, with what; exit code
BY_HAND = [
    ("unknown uid", "pristine", ("54321", "/var/www/one", ["1000", "1000", "w"]), 102),
    ("no arguments", "pristine", ("www-data", "/var/www/one", []), 101),
    ("no command", "custom", ("www-data", "/var/www/one", ["1000", "1000"]), 101),
    ("absolute command", "custom", ("www-data", "/var/www/one", ["1000", "1000", "/bin/sh"]), 104),
    ("command above", "pristine", ("www-data", "/var/www/one", ["1000", "1000", "../one/w"]), 104),
    ("command around", "custom", ("www-data", "/var/www/one", ["1000", "1000", "a/../w"]), 104),
    ("command below", "custom", ("www-data", "/var/www", ["alice", "alice", "one/w"]), 120),
    ("names", "custom", ("www-data", "/var/www/one", ["alice", "alice", "w"]), 0),
    ("no user", "custom", ("www-data", "/var/www/one", ["", "1000", "w"]), 107),
    ("a uid beyond all", "pristine", ("www-data", "/var/www/one", ["9" * 20, "1000", "w"]), 121),
    ("a uid that wraps around", "custom", ("www-data", "/var/www/one", ["4294968296", "1000", "w"]), 0),
]  # fmt: skip


@named(BY_HAND)
def test_the_rules_hold_for_calls_by_hand(changed, tell, observe, row):
    flavour, call, exit_code = row
    changed(flavour, "true")
    question = [dict(zip(("account", "directory", "arguments"), call))]
    seen = observe(question)
    assert seen[0]["exit_code"] == exit_code, f"the row provokes something else: {seen}"
    assert tell("/opt/foretell.py", question) == seen

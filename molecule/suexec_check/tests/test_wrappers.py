"""Every check that depends on the wrapper, with both builds of suexec (SUX-01, S06-S23)."""

import pytest

HOME = "/var/www/rows"
BELOW = "mkdir d; cp -p w d; chown alice:alice d"

# id; what is done in the wrapper's directory; exit code; what differs from alice, alice and <directory>/w
REFUSED = [
    ("apache cannot enter", "chmod 0750 .", 255, {}),
    ("apache cannot pass above", f"{BELOW}; chmod 0700 .", 255, {"path": "d/w"}),
    ("no directory", "true", 255, {"path": "gone/w"}),
    ("directory is a file", "true", 255, {"path": "w/w"}),
    ("no such user", "true", 105, {"user": "ghost"}),
    ("no such uid", "true", 121, {"user": "#54321"}),
    ("no such group", "true", 106, {"group": "ghost"}),
    ("no such gid", "true", 106, {"group": "#54321"}),
    ("root", "chown -R root:root .", 107, {"user": "root", "group": "root"}),
    ("uid of a daemon", "chown -R www-data:alice .", 107, {"user": "www-data"}),
    ("uid just too low", "chown -R low:alice .", 107, {"user": "low"}),
    ("group root", "chown -R alice:root .", 108, {"group": "root"}),
    ("group of Apache", "chown -R alice:www-data .", 108, {"group": "www-data"}),
    ("unreadable directory", "chown root:root .; chmod 0711 .", 111, {}),
    ("no userdir", "true", 112, {"user": "~bob"}),
    ("directory to be listed, not entered", "chmod 0401 .", 111, {}),
    ("outside the docroot", "true", 114, {"path": "/srv/rows/w"}),
    ("beside the docroot", "true", 114, {"path": "/var/wwwrows/w"}),
    ("above the docroot", "true", 114, {"path": "/var/w"}),
    ("link out of the docroot", "ln -s /srv/rows out", 114, {"path": "out/w"}),
    ("outside the userdir", "true", 114, {"user": "~alice"}),
    ("user cannot pass above", f"{BELOW}; chown root:www-data .; chmod 0710 .", 115, {"path": "d/w"}),
    ("directory of the group", "chmod 0775 .", 116, {}),
    ("directory of everybody", "chmod 0757 .", 116, {}),
    ("no wrapper", "rm w", 117, {}),
    ("link to a good wrapper", "mv w real; ln -s real w", 117, {}),
    ("dangling link", "rm w; ln -s gone w", 117, {}),
    ("wrapper of the group", "chmod 0775 w", 118, {}),
    ("wrapper of everybody", "chmod 0757 w", 118, {}),
    ("setuid", "chmod 4755 w", 119, {}),
    ("setgid", "chmod 2755 w", 119, {}),
    ("directory of root", "chown root:root .", 120, {}),
    ("group of the directory", "chgrp bob .", 120, {}),
    ("wrapper of root", "chown root:root w", 120, {}),
    ("group of the wrapper", "chgrp bob w", 120, {}),
    ("somebody else", "true", 120, {"user": "bob", "group": "bob"}),
    ("not executable", "chmod 0644 w", 121, {}),
    ("executable for others alone", "chmod 0611 w", 121, {}),
    ("no interpreter named", "echo exit 0 > w", 255, {}),
    ("empty", ": > w", 255, {}),
    ("carriage return", "printf '#!/bin/sh\\r\\nexit 0\\r\\n' > w", 255, {}),
    ("interpreter missing", "echo '#!/usr/bin/gone' > w", 255, {}),
    ("interpreter is no program", "echo '#!/etc/passwd' > w", 255, {}),
    ("interpreter of somebody else", "install -m 0750 /bin/sh sh; echo '#!'$PWD/sh > w", 255, {}),
    ("interpreter too long", "(printf '#!/'; printf '%0300d' 0) > w", 255, {}),
    ("interpreter blank", "echo '#!  ' > w", 255, {}),
    ("interpreters in a ring", "echo '#!'$PWD/w > w", 255, {}),
    ("script behind scripts", "p=/bin/sh; for i in 1 2 3 4 5; do echo '#!'$p > $i; chmod 755 $i; "
     "p=$PWD/$i; done; echo '#!'$p > w", 255, {}),
    ("a directory", "rm w; mkdir w; chown alice:alice w", 255, {}),
    ("a pipe", "rm w; mkfifo -m 0755 w; chown alice:alice w", 255, {}),
    ("mounted noexec", "mkdir d; mount -t tmpfs -o noexec,mode=0755 none d; chown alice:alice d; "
     "cp -p w d", 255, {"path": "d/w"}),
]  # fmt: skip

ACCEPTED = [
    ("as usual", "true", {}),
    ("by ids", "true", {"user": "#1000", "group": "1000"}),
    ("closed", "chmod 0511 .; chmod 0500 w", {}),
    ("read-only", "chmod 0555 . w", {}),
    ("setgid directory, sticky wrapper", "chmod 2755 .; chmod 1755 w", {}),
    ("unreadable wrapper", "cp /bin/true w; chmod 0300 w", {}),
    ("a binary", "cp /bin/true w", {}),
    ("owner alone may execute", "chmod 0744 w", {}),
    ("everybody writes above", f"{BELOW}; chmod 0777 .", {"path": "d/w"}),
    ("through a link", f"{BELOW}; ln -s d link", {"path": "link/w"}),
    ("dots on the way", "mkdir d", {"path": "d/.././w"}),
    ("group that the user is not in", "chown -R alice:bob .", {"group": "bob"}),
    ("interpreter with an argument", "echo '#! /bin/sh -e' > w", {}),
    ("no line feed at all", "printf '#!/bin/true' > w", {}),
    ("script behind a script", "install -m 0755 w sh; echo '#!'$PWD/sh > w", {}),
    ("relative interpreter", "cp /bin/true t; echo '#!t' > w", {}),
    ("long first line", "(printf '#!/bin/true '; printf '%0300d' 0) > w", {}),
    ("access list for Apache", "chmod 0700 .; setfacl -m u:www-data:x .", {}),
    ("userdir", "true", {"user": "~alice", "path": "/home/alice/public_html/cgi-bin/w"}),
]  # fmt: skip

ROWS = [*REFUSED, *((name, make, 0, differs) for name, make, differs in ACCEPTED)]


def directory_of(number):
    return f"{HOME}/{number}"


def script():
    """Make a good wrapper for each row, then change it as the row says."""
    good = "mkdir -p {0}; printf '#!/bin/sh\\n' > {0}/w; chmod 0755 {0} {0}/w; chown -R alice:alice {0}"
    lines = [
        "umask 022; mkdir -p /srv/rows /var/wwwrows",
        *(good.format(path) for path in ("/srv/rows", "/var/wwwrows", "/home/alice/public_html/cgi-bin")),
        "cp -p /srv/rows/w /var/w; chmod 0711 /home/alice; chown -R alice:alice /home/alice",
        f"umount {HOME}/*/d 2> /dev/null || true; rm -rf {HOME}",
    ]
    for number, (_, make, *_) in enumerate(ROWS):
        path = directory_of(number)
        lines.append(f"{good.format(path)}; cd {path}; {make}; cd /")
    return "\n".join(lines)


def wrapper(number, name, differs):
    path = differs.get("path", "w")
    path = path if path.startswith("/") else f"{directory_of(number)}/{path}"
    return {"user": "alice", "group": "alice", **differs, "name": name, "path": path}


@pytest.fixture(scope="module", params=["custom", "pristine"])
def both_sides(request, shell, choose, ask, observe):
    """Of all rows in one go: what is foretold, and what happens."""
    choose(request.param)
    shell(script())
    wrappers = [wrapper(number, name, differs) for number, (name, _, _, differs) in enumerate(ROWS)]
    verdicts = ask(wrappers)
    return {name: both for (name, *_), both in zip(ROWS, zip(verdicts, observe(wrappers)))}


@pytest.mark.parametrize(("name", "exit_code"), [(row[0], row[2]) for row in ROWS])
def test_what_is_foretold_comes_true(both_sides, foretold, name, exit_code):
    verdict, seen = both_sides[name]
    assert seen["exit_code"] == exit_code, f"the row provokes something else: {seen}"
    assert foretold(verdict) == seen
    assert verdict["ok"] == (exit_code == 0)
    assert bool(verdict["fix"]) == (exit_code != 0)

"""What people see of the module: its message, its fixes and its warnings."""

from pathlib import Path

import pytest

CONVERGE = Path(__file__).resolve().parents[1] / "converge.yml"
GOOD = """
rm -rf {0} && mkdir -p {0} && printf '#!/bin/sh\\nexec {1}\\n' > {0}/w
chmod 0755 {0}/w && chown -R alice:alice {0}
"""
MAKE = """
import os
for link, name in ((b"1", b"\\xff"), (b"2", b"x'; touch pasted; '")):
    os.mkdir(name)
    open(name + b"/w", "w").write("#!/bin/sh")
    os.chmod(name + b"/w", 0o755)
    os.chmod(name, 0o775)
    os.chown(name, 1000, 1000)
    os.chown(name + b"/w", 1000, 1000)
    os.symlink(name, link)
"""
SPOILT = [
    "chmod 0775 .",
    "chmod 0775 w",
    "chmod 4755 w",
    "chmod 0644 w",
    "chown root:bob w",
]


def wrapper(name, **differs):
    return {"name": name, "path": f"/var/www/{name}/w", "user": "alice", "group": "alice", **differs}


@pytest.fixture(scope="module", autouse=True)
def custom(choose):
    choose("custom")


@pytest.fixture
def refused(play):
    """The module's message, where it must fail."""

    def refused(**arguments):
        done = play(CONVERGE, {"question": {"fail": True, **arguments}})
        assert done.returncode != 0, done.stdout
        return " ".join(done.stdout.split())

    return refused


def test_one_message_names_every_fault_and_its_fix(shell, refused):
    for name in ("first", "second", "third"):
        shell(GOOD.format(f"/var/www/{name}", "/bin/true"))
    shell("chmod 0775 /var/www/first; chmod 0644 /var/www/third/w")
    said = refused(wrappers=[wrapper(name) for name in ("first", "second", "third")])
    assert "first: suEXEC will refuse /var/www/first/w for alice:alice (exit 116, directory" in said
    assert "chmod go-w /var/www/first" in said
    assert "third: suEXEC will refuse /var/www/third/w" in said
    assert "chmod u+x /var/www/third/w" in said
    assert "second" not in said


def test_the_fix_mends_it(shell, ask):
    wrappers = [wrapper(f"mend{number}") for number in range(len(SPOILT))]
    for number, spoil in enumerate(SPOILT):
        shell(GOOD.format(f"/var/www/mend{number}", "/bin/true") + f"cd /var/www/mend{number}; {spoil}")
    spoilt = ask(wrappers)
    assert [verdict["ok"] for verdict in spoilt] == [False] * len(SPOILT)
    shell("\n".join(verdict["fix"] for verdict in spoilt))
    assert [verdict["fix"] for verdict in ask(wrappers)] == [""] * len(SPOILT)


def test_the_fix_is_safe_to_paste_whatever_a_tenant_calls_things(shell, ask):
    shell(f"rm -rf /var/www/named; mkdir /var/www/named; cd /var/www/named; python3 - <<'END'\n{MAKE}END")
    broken, hostile = ask([wrapper("named", path=f"/var/www/named/{link}/w") for link in ("1", "2")])
    assert (broken["exit_code"], broken["log"]) == (
        116,
        "directory is writable by others: (/var/www/named/\ufffd)",
    )
    shell(hostile["fix"])
    assert shell("find / -xdev -name pasted") == ""
    assert ask([wrapper("named", path="/var/www/named/2/w")])[0]["ok"]


def test_what_goes_wrong_after_suexec_is_a_warning(shell, ask):
    shell(GOOD.format("/var/www/later", "/usr/bin/php-cgi9.9"))
    (verdict,) = ask([wrapper("later")])
    assert verdict["ok"]
    assert verdict["warning"].endswith("cannot execute what it hands over to: /usr/bin/php-cgi9.9")


def test_a_fifo_of_a_tenant_does_not_hold_it_up(shell, ask):
    shell(GOOD.format("/var/www/pipe", "/bin/true"))
    shell("cd /var/www/pipe; mkfifo -m 0755 pipe; echo '#!/var/www/pipe/pipe' > w; chown -R alice:alice .")
    for verdict in ask([wrapper("pipe"), wrapper("pipe", path="/var/www/pipe/pipe")]):
        assert verdict["check"] == "exec"


REFUSED = [
    ({"wrappers": [wrapper("x", path="x/w")]}, "wrappers[0].path: 'x/w' is not an absolute path"),
    ({"wrappers": [], "apache_user": "ghost"}, "apache_user: there is no account 'ghost'"),
    ({"wrappers": [], "suexec": "/usr/lib/apache2/gone"}, "Install suexec (apache2-suexec-custom"),
    ({"wrappers": [], "suexec": "/bin/true"}, "suexec -V does not tell AP_UID_MIN"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_a_question_that_makes_no_sense_is_refused(refused, arguments, message):
    assert message in refused(**arguments)

"""A site has no more processes than its limit says, and Apache has as many as it takes (C06, CAP-14)."""

import shlex
import time
from pathlib import Path

import pytest

PLAYBOOK = Path(__file__).resolve().parents[3] / "playbooks/site.yml"
TASKS_MAX = 256
SECONDS = 14
# It goes on trying for a while, and then all of it ends by itself; without a limit there would be 600.
BOMB = f"""
import os, time
end = time.monotonic() + {SECONDS}
made = 0
while time.monotonic() < end:
    try:
        if made < 600:
            if os.fork() == 0:
                time.sleep(end - time.monotonic())
                os._exit(0)
            made += 1
            continue
    except BlockingIOError:
        pass
    time.sleep(0.01)
"""
SCRIPT = "/var/www/sites/uk/bomb.py"
START = f"exec('python3 {SCRIPT} >/dev/null 2>&1 &'); echo 'started';"
TRY = "echo is_resource(@proc_open(['true'], [], $pipes)) ? 'a program runs' : 'no more';"


@pytest.fixture
def processes(host):
    """How many a site's account has of a program."""
    return lambda name, program: int(host.run("pgrep --uid %s --count %s", name, program).stdout)


@pytest.fixture
def bomb(host, get, run_as, processes):
    """What is seen while a site starts processes without end, and what is there afterwards."""
    for name in ("uk", "de"):
        assert get(f"http://{name}.example/whoami.php").body == f"PHP of {name}"
    host.check_output(f"printf %s {shlex.quote(BOMB)} > {SCRIPT} && chown uk:uk {SCRIPT}")
    started = time.monotonic()
    assert run_as("uk", START).body == "started"
    seen = {"most": 0, "answers": set(), "files": set(), "programs": set()}
    try:
        time.sleep(2)
        while time.monotonic() < started + SECONDS / 2:
            seen["most"] = max(seen["most"], processes("uk", "python3"))
            seen["programs"].add(run_as("uk", TRY).body)
            for name in ("uk", "de"):
                seen["answers"].add(get(f"http://{name}.example/whoami.php").body)
                seen["files"].add(get(f"http://{name}.example/style.css").status)
        seen["seconds"] = time.monotonic() - started
    finally:
        host.check_output("timeout 30 sh -c 'while pgrep --uid uk python3; do sleep 0.2; done'")
    return seen


def test_a_site_that_forks_without_end_is_bounded_and_all_sites_are_served(bomb, run_as):
    assert bomb["seconds"] < SECONDS, "it took so long that the processes may have ended meanwhile"
    # accounts of the same number in other containers of this machine count too
    assert TASKS_MAX / 2 < bomb["most"] <= TASKS_MAX
    assert bomb["programs"] == {"no more"}
    assert bomb["answers"] == {"PHP of uk", "PHP of de"}
    assert bomb["files"] == {200}
    assert run_as("uk", TRY).body == "a program runs"


@pytest.fixture
def bounded(play, sites):
    """Write the sites' settings anew, for so many processes of `uk`."""

    def bounded(tasks_max):
        sites["uk"]["limits"] = {"tasks_max": tasks_max}
        variables = {"fastcgi_sites": list(sites.values()), "ansible_become": False}
        run = play(PLAYBOOK, variables, "--tags", "mpm_itk_configure")
        assert run.returncode == 0, run.stdout

    yield bounded
    bounded(TASKS_MAX)


def test_apache_has_more_processes_for_a_site_than_the_site_may_start(host, bounded, run_as, processes):
    """It makes them while it is not the site's yet. Only programs of the site itself wait."""
    bounded(8)
    url = "http://uk.example/sleep.php?seconds=8"
    ask = f"curl -s -o /dev/null -w '%{{http_code}}\\n' --connect-to ::127.0.0.1: '{url}' & "
    start = "systemd-run --unit=visitors --property=StandardOutput=truncate:/root/told bash -c %s"
    host.check_output(start, f"{ask * 30} wait")
    deadline = time.monotonic() + 6
    while processes("uk", "apache2") <= 8 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert run_as("uk", TRY).body == "no more"
    assert run_as("de", TRY).body == "a program runs"
    host.check_output("timeout 30 sh -c 'while systemctl --quiet is-active visitors; do sleep 0.2; done'")
    assert host.file("/root/told").content_string.split() == ["200"] * 30
    assert run_as("uk", TRY).body == "a program runs"


@pytest.mark.parametrize("name", ["uk", "de"])
def test_a_site_cannot_take_its_limit_back(run_as, name):
    """Nor go without: `de` may look into its own directories alone, and its scripts have the limit too."""
    raised = "posix_setrlimit(POSIX_RLIMIT_NPROC, 9999, 9999), ini_set('auto_prepend_file', 'none')"
    limits = "posix_getrlimit()['soft maxproc'], posix_getrlimit()['hard maxproc']"
    assert run_as(name, f"echo json_encode([{raised}, {limits}]);").json == [
        *(False, False),
        *(TASKS_MAX, TASKS_MAX),
    ]


def test_what_the_site_wants_to_come_first_comes_after_the_limit(host, converge, sites, run_as):
    host.check_output("echo '<?php $first = \"first\";' > /srv/de/htdocs/first.php")
    sites["de"]["php_value"]["auto_prepend_file"] = "/srv/de/htdocs/first.php"
    try:
        assert converge(sites).returncode == 0
        seen = run_as("de", "echo json_encode([$first, posix_getrlimit()['hard maxproc']]);").json
        assert seen == ["first", TASKS_MAX]
    finally:
        del sites["de"]["php_value"]["auto_prepend_file"]
        assert converge(sites).returncode == 0

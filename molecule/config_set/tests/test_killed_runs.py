"""A run that is killed at any step leaves a host that starts, and the next run converges (REL-05, R05)."""

import copy
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

SCENARIO = Path(__file__).resolve().parents[1]
ROOT = SCENARIO.parents[1]
BEFORE = yaml.safe_load((SCENARIO / "converge.yml").read_text())[0]["vars"]["fastcgi_sites"]
TAGS = "fpm_pool_configure,apache_fastcgi_configure,apache_vhost_configure"
FINISHED = ("done", "manifest")
CASES = [
    *(
        ("fpm_pool", point)
        for point in ("staged", "begun", "validated", "swapped one", "swapped all", "followed")
    ),
    *(("fpm_pool", point) for point in FINISHED),
    # the steps are the same for every set; what differs is what a half-done swap does to its daemon
    *(("apache_fastcgi", point) for point in ("begun", "swapped one", "swapped all")),
    *(("apache_vhost", point) for point in ("begun", "swapped one", "swapped all", "followed")),
]


def after():
    """One site goes, one comes, and one changes in each of its files."""
    sites = [copy.deepcopy(site) for site in BEFORE if site["name"] != "goes"]
    sites[1].update(
        php_admin_value={"memory_limit": "99M"},
        server_aliases=["changed.test"],
        timeout={"max_execution_time": 60},
        limits={"tasks_max": 99},
    )
    return [*sites, {"name": "comes", "server_name": "comes.test", "user": "goes"}]


@pytest.fixture
def converge(tmp_path):
    """Bring the host to a list of sites; `die_at` names a set and a point of its change."""

    def run(sites, die_at=""):
        variables = tmp_path / "variables.json"
        variables.write_text(json.dumps({"fastcgi_sites": sites, "die_at": die_at}))
        return subprocess.run(
            [
                *(
                    Path(sys.executable).parent / "ansible-playbook",
                    "-i",
                    os.environ["MOLECULE_INVENTORY_FILE"],
                ),
                *("-e", f"@{variables}", "--tags", TAGS, SCENARIO / "converge.yml"),
            ],
            env={**os.environ, "ANSIBLE_FORCE_COLOR": "0"},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    return run


def files(host, name):
    """What a set owns on disk, with contents."""
    paths = {
        "fpm_pool": "/etc/fastcgi/fpm /etc/systemd/system/{.,sockets.target.wants}/fastcgi-*",
        "apache_fastcgi": "/etc/apache2/fastcgi",
        "apache_vhost": "/etc/apache2/sites-available /etc/apache2/sites-enabled",
    }[name]
    names = f"find {paths} -printf '%p %y %l %u:%g %m\\n' | sort"
    contents = f"find {paths} -type f | sort | xargs sha256sum"
    return host.check_output(f"bash -c {shlex.quote(f'{names}; {contents}')}")


def page(host, name):
    return host.check_output(f"curl -s -m 20 -H 'Host: {name}.test' http://127.0.0.1/")


@pytest.mark.parametrize("role, point", CASES)
def test_the_host_starts_and_the_next_run_converges(host, converge, role, point):
    """To whichever of the two lists the host does not have; each removes, adds and changes a site."""
    forward = host.file("/etc/apache2/sites-enabled/goes.conf").exists
    wanted, limit = (after(), "99M") if forward else (BEFORE, "128M")
    come, gone = ("comes", "goes") if forward else ("goes", "comes")
    old = files(host, role)
    killed = converge(wanted, die_at=f"{role}: {point}")
    assert killed.returncode != 0, killed.stdout

    # what a reboot or an operator does: all daemons start anew from what is on disk
    host.check_output("systemctl stop apache2 'fastcgi-*.service'")
    host.check_output("systemctl start apache2")
    assert page(host, "stays") == "stays 128M"
    assert page(host, "changes").startswith("changes ")
    assert (files(host, role) == old) == (point not in FINISHED)
    assert host.check_output("systemctl --failed --no-legend") == ""

    done = converge(wanted)
    assert done.returncode == 0, done.stdout
    assert page(host, "changes") == f"changes {limit}"
    assert host.check_output(f"find /etc/apache2 /etc/fastcgi /etc/systemd -name '*{gone}*'") == ""
    assert host.check_output(f"systemctl is-active fastcgi-{come}.socket") == "active"
    assert host.check_output("find /var/lib/config_set -path '*/transaction/*'") == ""

"""What the tests of this scenario share."""

import copy
import json
import shlex
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).resolve().parents[1]
PLAYBOOK = HERE.parents[1] / "playbooks/site.yml"
DYING = "/root/dying-python"


@pytest.fixture
def sites():
    """The list of sites, by name, for a test to change."""
    listed = yaml.safe_load((HERE / "group_vars/all.yml").read_text())["fastcgi_sites"]
    return {site["name"]: site for site in copy.deepcopy(listed)}


@pytest.fixture
def converge(host, play):
    """Run the collection's playbook with a list of sites; `die_at` names a set and a point of its change."""

    def converge(sites, die_at=""):
        variables = {"fastcgi_sites": list(sites.values()), "ansible_become": False}
        if die_at:
            python = f'#!/bin/sh\nCONFIG_SET_DIE_AT={shlex.quote(die_at)} exec /usr/bin/python3 "$@"\n'
            host.check_output("printf %%s %s > %s && chmod 755 %s", python, DYING, DYING)
            variables["ansible_python_interpreter"] = DYING
        return play(PLAYBOOK, variables)

    return converge


@pytest.fixture
def asking(host):
    """Ask sites for their page while something else goes on; then tell what each of them answered."""
    script = HERE.parent / "apache_vhost/files/poll.py"

    class Asking:
        def __init__(self, *names):
            self.names = names

        def __enter__(self):
            host.check_output("printf %%s %s > /root/poll.py", script.read_text())
            host.check_output("rm -f /root/answers")
            # it ends by itself, should this test not come to it
            start = (
                "systemd-run --unit=asking --property=RuntimeMaxSec=300 python3 /root/poll.py /root/answers"
            )
            host.check_output(f"{start} {shlex.join(self.names)}")
            return self

        def __exit__(self, *_):
            host.check_output("systemctl stop asking")

        def answers(self, name):
            lines = host.file("/root/answers").content_string.splitlines()
            return [answer for answer in map(json.loads, lines) if answer["host"] == name]

    return Asking

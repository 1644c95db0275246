"""What the tests of this scenario share."""

import copy
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

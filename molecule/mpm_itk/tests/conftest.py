"""What the tests of this scenario share."""

import copy
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).resolve().parents[1]
PLAYBOOK = HERE.parents[1] / "playbooks/site.yml"
LISTED = yaml.safe_load((HERE / "group_vars/all.yml").read_text())["fastcgi_sites"]


@pytest.fixture
def sites():
    """The list of sites, by name, for a test to change."""
    return {site["name"]: site for site in copy.deepcopy(LISTED)}


@pytest.fixture
def converge(play):
    """Run the collection's playbook with a list of sites; further variables by their names."""

    def converge(sites, **variables):
        return play(PLAYBOOK, {"fastcgi_sites": list(sites.values()), "ansible_become": False, **variables})

    return converge


@pytest.fixture
def run_as(host, get):
    """Have a site run some PHP, and return the answer."""
    roots = {"uk": "/var/www/sites/uk", "de": "/srv/de/htdocs"}

    def run_as(name, code):
        script = f"{roots[name]}/try.php"
        host.check_output(f"printf '<?php %%s' %s > {script} && chown {name}:www-data {script}", code)
        return get(f"http://{name}.example/try.php")

    return run_as

"""What the tests of this scenario share."""

import copy
import os
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items):
    """What asks Apache for PHP takes the module; what is on the host for it does not."""
    reason = (
        "not tested: requests through mod_fastcgi_handler, since FASTCGI_HANDLER_MODULE names neither a .so "
        "nor a .deb of it"
    )
    if not os.environ.get("FASTCGI_HANDLER_MODULE"):
        for item in items:
            if item.path.parent == HERE / "tests" and item.path.name != "test_host.py":
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def sites():
    """The list of sites, by name, for a test to change."""
    listed = yaml.safe_load((HERE / "group_vars/all.yml").read_text())["fastcgi_sites"]
    return {site["name"]: site for site in copy.deepcopy(listed)}


@pytest.fixture
def converge(play):
    """Run the collection's playbook with a list of sites."""

    def converge(sites, **variables):
        variables = {"fastcgi_sites": list(sites.values()), "ansible_become": False, **variables}
        return play(HERE.parents[1] / "playbooks/site.yml", variables)

    return converge

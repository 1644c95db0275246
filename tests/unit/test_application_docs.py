"""docs/applications.md shows the entries that the scenarios test."""

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.webhosting.fastcgi.plugins.module_utils import sites as model

ROOT = Path(__file__).resolve().parents[2]
TESTED = ("molecule/applications/group_vars/all.yml", "examples/demo/group_vars/all.yml")
OF_THE_TEST = ("server_name", "user", "engine", "process_manager", "timeout", "php_admin_value")
"""What a scenario chooses for itself."""


def entries(text):
    """What stands in the YAML of a page and is an entry of the list of sites."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    found = [entry for block in blocks for entry in yaml.safe_load(block)]
    return {entry["name"]: entry for entry in found if "server_name" in entry}


SHOWN = entries((ROOT / "docs/applications.md").read_text())
SITES = [site for path in TESTED for site in yaml.safe_load((ROOT / path).read_text())["fastcgi_sites"]]


def plain(site):
    """The fields that an application needs."""
    defaults = {"htaccess": "safe"}
    return defaults | {field: value for field, value in site.items() if field not in OF_THE_TEST}


@pytest.mark.parametrize("name", SHOWN)
def test_entry_is_a_site(name):
    assert model.resolve([SHOWN[name]])


@pytest.mark.parametrize("name", sorted(SHOWN.keys() - {"shop"}))
def test_entry_is_the_one_that_is_tested(name):
    """All but that of Drupal, as the page says."""
    (tested,) = [site for site in SITES if site["name"] == name]
    assert plain(SHOWN[name]) == plain(tested)

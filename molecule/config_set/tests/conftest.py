"""A host with three sites, and a second list that takes one away, adds one and changes one."""

import copy
import shlex
from pathlib import Path

import pytest
import yaml

PLAYBOOK = Path(__file__).resolve().parents[1] / "converge.yml"
TAGS = "fpm_pool_configure,apache_fastcgi_configure,apache_vhost_configure"
PATHS = {
    "fpm_pool": "/etc/fastcgi/fpm /etc/systemd/system/{.,sockets.target.wants}/fastcgi-*",
    "apache_fastcgi": "/etc/apache2/fastcgi",
    "apache_vhost": "/etc/apache2/sites-available /etc/apache2/sites-enabled",
}


@pytest.fixture
def lists():
    before = yaml.safe_load(PLAYBOOK.read_text())[0]["vars"]["fastcgi_sites"]
    after = [copy.deepcopy(site) for site in before if site["name"] != "goes"]
    after[1].update(
        php_admin_value={"memory_limit": "99M"},
        server_aliases=["changed.test"],
        timeout={"max_execution_time": 60},
        limits={"tasks_max": 99},
    )
    after.append({"name": "comes", "server_name": "comes.test", "user": "goes"})
    return {"before": before, "after": after}


@pytest.fixture
def converge(play):
    """Bring the host to a list of sites; `die_at` names a set and a point of its change."""

    def converge(sites, die_at=""):
        return play(PLAYBOOK, {"fastcgi_sites": sites, "die_at": die_at}, "--tags", TAGS)

    return converge


@pytest.fixture
def files(host):
    """What a set owns on disk, with contents."""

    def files(name):
        names = f"find {PATHS[name]} -printf '%p %y %l %u:%g %m\\n' | sort"
        contents = f"find {PATHS[name]} -type f | sort | xargs sha256sum"
        return host.check_output(f"bash -c {shlex.quote(f'{names}; {contents}')}")

    return files


@pytest.fixture
def page(get):
    return lambda site: get(f"http://{site}.test/").body

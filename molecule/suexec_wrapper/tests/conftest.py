"""What the tests of this scenario share."""

import copy
import json
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).resolve().parents[1]


@pytest.fixture
def sites():
    """The list of sites, by name, for a test to change."""
    listed = yaml.safe_load((HERE / "vars/sites.yml").read_text())["fastcgi_sites"]
    return {site["name"]: site for site in copy.deepcopy(listed)}


@pytest.fixture
def converge(play):
    """Run the role with a list of sites, further arguments of ansible-playbook, and variables."""

    def converge(sites, *arguments, **variables):
        return play(HERE / "later.yml", {"fastcgi_sites": list(sites.values()), **variables}, *arguments)

    return converge


@pytest.fixture
def called(host):
    """Call suEXEC as Apache's children do, in the wrapper's directory, and return what PHP answers."""

    def called(user, wrapper, site):
        directory, _, command = wrapper.rpartition("/")
        request = (
            "GATEWAY_INTERFACE=CGI/1.1 REDIRECT_STATUS=200 REQUEST_METHOD=GET SCRIPT_NAME=/who.php"
            f" SCRIPT_FILENAME=/var/www/sites/{site}/who.php LD_LIBRARY_PATH=/tmp PHPRC=/tmp"
        )
        account = "--reuid www-data --regid www-data --init-groups --inh-caps=-all"
        done = host.run(
            f"sh -c 'cd {directory} && exec setpriv {account} env -i {request}"
            f" /usr/lib/apache2/suexec {user} {user} {command}'"
        )
        assert done.rc == 0, (
            f"{done.rc}: {done.stderr}{host.run('tail -n 1 /var/log/apache2/suexec.log').stdout}"
        )
        return json.loads(done.stdout.rpartition("\n")[2])

    return called


@pytest.fixture
def as_user(host):
    """Run a shell command under an account, whatever its login shell."""
    return lambda user, command: host.run("runuser -u %s -- sh -c %s", user, command)


@pytest.fixture
def immutable(host):
    """Whether a path has the bit."""
    return lambda path: "i" in host.check_output("lsattr -d %s", path).split()[0]

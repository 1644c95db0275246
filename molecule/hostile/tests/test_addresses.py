"""A host that lost the secret from which addresses follow makes another, and no site pays for it."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ADDRESSES = "find /run/fastcgi -mindepth 1 -maxdepth 1 -name 'secret-*' | sort"
NAMES = ("victim.test", "victim-ext.test")
testinfra_hosts = ["hostile-debian12"]


@pytest.fixture
def converge(play):
    """Run the playbook of the collection on this host."""
    return lambda: play(ROOT / "playbooks/site.yml", {"ansible_become": False}, "--limit", "hostile-debian12")


def test_addresses_change_as_a_whole_and_every_site_goes_on(host, converge, asking):
    before = host.check_output(ADDRESSES).split()
    for name in NAMES:
        user = name.split(".")[0]
        script = f"/var/www/sites/{user}/whoami.php"
        host.check_output(f"echo '<?php echo get_current_user();' > {script} && chown {user} {script}")
    host.check_output("rm /var/lib/config_set/secret")
    with asking(*NAMES) as polled:
        run = converge()
        assert run.returncode == 0, run.stdout
    after = host.check_output(ADDRESSES).split()
    assert len(after) == len(before) > len(NAMES)
    assert not set(after) & set(before)
    for name in NAMES:
        answers = {(answer["status"], answer["body"]) for answer in polled.answers(name)}
        assert answers == {(200, name.split(".")[0])}
    again = converge()
    assert "changed=0" in again.stdout, again.stdout

"""The accounts: made where they are missing, harmless, and left alone where they are somebody else's."""

import pytest

MADE = ("alpha", "beta-user", "twins", "given", "made", "leaving")
ANYBODY = pytest.mark.parametrize("user", MADE)


@ANYBODY
def test_account_lies_in_the_range_of_sites(host, user):
    account = host.user(user)
    assert 20000 <= account.uid <= 29999
    assert 20000 <= account.gid <= 29999


@ANYBODY
def test_nobody_can_log_in(host, user):
    assert host.run("su %s -c true", user).rc != 0
    assert host.check_output("passwd --status %s", user).split()[1] == "L"


@ANYBODY
def test_account_is_in_no_group_but_its_own(host, user):
    # Whoever is in Apache's group can connect to every site's socket (SEC-03).
    assert host.user(user).groups == [host.user(user).group]
    assert host.user(user).group != "www-data"


def test_sites_have_an_account_each(host):
    assert len({host.user(user).uid for user in MADE}) == len(MADE)


def test_group_may_have_a_name_of_its_own(host):
    assert host.user("beta-user").group == "beta-group"


def test_existing_account_is_used_as_it_is(host):
    account = host.user("veteran")
    assert (account.uid, account.shell, account.home) == (1500, "/bin/bash", "/home/veteran")
    assert account.gecos == "Made by hand"
    assert host.file("/var/www/sites/veteran").user == "veteran"


def test_account_in_the_group_of_apache_is_refused(host, observed):
    """SEC-03: such a tenant could talk to every site's PHP."""
    message = observed("refused-in-group-of-apache")
    assert "site intruder" in message
    assert "www-data" in message
    assert not host.file("/var/www/sites/intruder").exists
    # refused before anything is written
    assert not host.file("/etc/fastcgi/accounts.conf").contains("intruder")

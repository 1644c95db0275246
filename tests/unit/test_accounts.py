"""Accounts that a site may have, and those that would break the isolation of sites."""

import grp
import os
import pwd

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils import accounts

GROUPS = {"root": 0, "www-data": 33, "shadow": 42, "users": 100, "docker": 998, "redis": 120}


class Accounts:
    """A host with a few accounts: name → (uid, numbers of groups)."""

    def __init__(self, users=None, groups=None):
        self.users = {"alpha": (20000, [20000]), "beta": (20001, [20001]), **(users or {})}
        self.groups = {**GROUPS, "alpha": 20000, "beta": 20001, **(groups or {})}

    def user(self, name):
        if self.users.get(name) is None:
            return None
        return accounts.User(*self.users[name])

    def group(self, name):
        return self.groups.get(name)


def sites(*names, **fields):
    return [
        {"name": name, "user": name, "group": name, "apache_group": "www-data", **fields} for name in names
    ]


# what the host has instead
FINE = [
    ({}, {}),
    ({"alpha": (100, [20000])}, {"alpha": 101}),
    ({"alpha": (20000, [20000, 100])}, {}),
    ({"alpha": (20000, [20000, 120])}, {}),
]


@pytest.mark.parametrize(("users", "groups"), FINE)
def test_accounts_that_are_as_they_should_be_have_no_problems(users, groups):
    assert accounts.problems(sites("alpha", "beta"), Accounts(users, groups)) == []


def test_no_sites_have_no_problems():
    assert accounts.problems([], Accounts()) == []


def test_sites_of_one_account_have_no_problems():
    assert accounts.problems(sites("one", "two", user="alpha", group="alpha"), Accounts()) == []


# what the host has instead, the one message
PROBLEMS = [
    ({"alpha": None}, {}, "site alpha: there is no account alpha on this host"),
    ({}, {"alpha": None}, "site alpha: there is no group alpha on this host"),
    ({"alpha": (0, [20000])}, {}, "the account alpha has uid 0, which belongs to the system"),
    ({"alpha": (33, [20000])}, {}, "the account alpha has uid 33, which belongs to the system"),
    ({"alpha": (99, [20000])}, {}, "the account alpha has uid 99, which belongs to the system"),
    ({}, {"alpha": 0}, "the group alpha has gid 0, which belongs to the system"),
    ({"alpha": (20000, [33])}, {}, "the account alpha is in the group www-data, which may connect"),
    ({"alpha": (20000, [20000, 33])}, {}, "the account alpha is in the group www-data, which may connect"),
    ({"alpha": (20000, [20000, 42])}, {}, "the account alpha is in the group with gid 42, which belongs to"),
    ({"alpha": (20000, [20000, 998])}, {}, "the account alpha is in the group docker, which belongs to"),
    ({"alpha": (20001, [20000])}, {}, "the account beta has the uid of alpha"),
]  # fmt: skip


@pytest.mark.parametrize(("users", "groups", "message"), PROBLEMS)
def test_account_that_would_break_the_isolation_is_named(users, groups, message):
    (problem,) = accounts.problems(sites("alpha", "beta"), Accounts(users, groups))
    assert message in problem


def test_every_site_with_a_problem_is_named():
    found = accounts.problems(sites("alpha", "beta"), Accounts({"alpha": None, "beta": (0, [0])}))
    assert [problem.split(":")[0] for problem in found] == ["site alpha", "site beta"]


def test_what_will_be_made_may_be_missing():
    absent = Accounts({"alpha": None}, {"alpha": None})
    assert accounts.problems(sites("alpha"), absent, may_be_missing=True) == []


def test_the_host_is_asked_for_every_group_of_an_account():
    """Against the account that runs this test, whose groups the kernel knows too."""
    name = pwd.getpwuid(os.geteuid()).pw_name
    user = accounts.Host().user(name)
    assert user.uid == os.geteuid()
    assert os.getegid() in user.groups
    assert accounts.Host().user("no-such-account") is None
    assert accounts.Host().group("no-such-group") is None
    assert accounts.Host().group("root") == 0


def test_accounts_read_at_once_are_those_of_the_name_service():
    """Every account and group of the machine that runs this test."""
    host = accounts.Host()
    for entry in pwd.getpwall():
        user = host.user(entry.pw_name)
        assert user.uid == pwd.getpwnam(entry.pw_name).pw_uid
        assert set(user.groups) == set(os.getgrouplist(entry.pw_name, entry.pw_gid))
    for entry in grp.getgrall():
        assert host.group(entry.gr_name) == grp.getgrnam(entry.gr_name).gr_gid


# /etc/nsswitch.conf, what else there is, whether the files tell all
NAME_SERVICES = [
    ("passwd: files\ngroup: files\n", [], True),
    ("passwd: files systemd\ngroup:  files systemd # as Debian has it\n", [], True),
    ("passwd: files systemd\ngroup: files systemd\n", ["run/systemd/userdb/io.systemd.DynamicUser"], True),
    ("passwd: files systemd\ngroup: files systemd\n", ["run/systemd/userdb/io.systemd.Home"], False),
    ("passwd: files systemd\ngroup: files systemd\n", ["etc/userdb/"], False),
    ("passwd: files sss\ngroup: files\n", [], False),
    ("passwd: files\ngroup: files ldap\n", [], False),
    ("passwd: files\ngroup: files\ninitgroups: files ldap\n", [], False),
    ("passwd: compat\ngroup: files\n", [], False),
    ("group: files\n", [], False),
    ("passwd: files [NOTFOUND=continue] sss\ngroup: files\n", [], False),
]


@pytest.mark.parametrize(("nsswitch", "there", "alone"), NAME_SERVICES)
def test_files_are_trusted_only_where_they_are_all_there_is(tmp_path, nsswitch, there, alone):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nsswitch.conf").write_text(nsswitch)
    for name in there:
        place = tmp_path / name
        (place if name.endswith("/") else place.parent).mkdir(parents=True)
        if not name.endswith("/"):
            place.touch()
    assert accounts.of_files_alone(str(tmp_path)) is alone

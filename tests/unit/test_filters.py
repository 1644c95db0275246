"""The filters as a playbook sees them."""

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.webhosting.fastcgi.plugins.filter.account_problems import (
    FilterModule as AccountProblems,
)
from ansible_collections.webhosting.fastcgi.plugins.filter.resolve_sites import FilterModule as ResolveSites

resolve_sites = ResolveSites().filters()["resolve_sites"]
account_problems = AccountProblems().filters()["account_problems"]

PASSWD = {
    "root": ["x", "0", "0", "root", "/root", "/bin/bash"],
    "www-data": ["x", "33", "33", "www-data", "/var/www", "/usr/sbin/nologin"],
    "alpha": ["x", "20000", "20000", "Site alpha", "/var/lib/fastcgi/alpha", "/usr/sbin/nologin"],
    "beta": ["x", "20001", "20001", "Site beta", "/var/lib/fastcgi/beta", "/usr/sbin/nologin"],
}
GROUP = {
    "root": ["x", "0", ""],
    "www-data": ["x", "33", ""],
    "alpha": ["x", "20000", ""],
    "beta": ["x", "20001", "backup,mail"],
}


def sites(*names, **fields):
    return resolve_sites([{"name": name, "server_name": f"{name}.example", **fields} for name in names])


def account(uid, gid):
    return ["x", uid, gid, "", "/nonexistent", "/usr/sbin/nologin"]


def test_resolve_sites_joins_defaults_key_by_key():
    given = [{"name": "alpha", "server_name": "a.example", "timeout": {"proxy_timeout": 900}}]
    (site,) = resolve_sites(given, {"timeout": {"max_execution_time": 120}, "htaccess": "none"})
    assert site["timeout"]["request_terminate_timeout"] == 125
    assert site["timeout"]["proxy_timeout"] == 900
    assert site["htaccess"] == "none"


@pytest.mark.parametrize("defaults", [None, {}])
def test_resolve_sites_needs_no_defaults(defaults):
    assert resolve_sites([{"name": "alpha", "server_name": "alpha.example"}], defaults) == sites("alpha")


def test_resolve_sites_fails_with_the_whole_message():
    with pytest.raises(AnsibleFilterError) as caught:
        resolve_sites([{"name": "alpha", "user": "root"}], {"engine": "cgi"})
    for part in (
        "3 error(s) in the list of sites, nothing was touched:",
        '\n  - site defaults.engine: "cgi" is not one of: proxy_fcgi',
        '\n  - sites[0] (alpha).user: "root" is the superuser; give the site an account of its own',
        "\n  - sites[0] (alpha).server_name: is missing",
    ):
        assert part in str(caught.value)


def test_accounts_that_are_as_they_should_be_have_no_problems():
    assert account_problems(sites("alpha", "beta"), PASSWD, GROUP) == []


def test_no_sites_have_no_problems():
    assert account_problems([], PASSWD, GROUP) == []


def test_sites_of_one_account_have_no_problems():
    both = sites("alpha", "beta", user="alpha", share_account=True)
    assert account_problems(both, PASSWD, GROUP) == []


# what the host has instead, the one message
PROBLEMS = [
    ({"alpha": None}, {}, "site alpha: there is no account alpha on this host"),
    ({}, {"alpha": None}, "site alpha: there is no group alpha on this host"),
    ({"alpha": account("0", "20000")}, {}, "the account alpha has uid 0, which belongs to the system"),
    ({"alpha": account("33", "20000")}, {}, "the account alpha has uid 33, which belongs to the system"),
    ({"alpha": account("99", "20000")}, {}, "the account alpha has uid 99, which belongs to the system"),
    ({}, {"alpha": ["x", "0", ""]}, "the group alpha has a gid that belongs to the system"),
    ({}, {"alpha": ["x", "33", ""]}, "the group alpha has a gid that belongs to the system"),
    ({"alpha": account("20000", "33")}, {}, "the account alpha is in the group www-data, which may"),
    ({}, {"www-data": ["x", "33", "alpha"]}, "the account alpha is in the group www-data, which may"),
    ({}, {"www-data": ["x", "33", "backup,alpha"]}, "the account alpha is in the group www-data"),
    ({"alpha": account("20001", "20000")}, {}, "the account beta has the uid of alpha"),
]  # fmt: skip


def changed(database, changes):
    return {name: entry for name, entry in {**database, **changes}.items() if entry is not None}


@pytest.mark.parametrize(("passwd", "group", "message"), PROBLEMS)
def test_account_that_would_break_the_isolation_is_named(passwd, group, message):
    both = sites("alpha", "beta")
    (problem,) = account_problems(both, changed(PASSWD, passwd), changed(GROUP, group))
    assert message in problem


# an account of the distribution's own range, and a member whose name only begins alike
@pytest.mark.parametrize(
    ("passwd", "group"),
    [
        ({"alpha": account("100", "20000")}, {"alpha": ["x", "100", ""]}),
        ({}, {"www-data": ["x", "33", "alphabet,alp"]}),
        ({}, {"www-data": None}),
    ],
)
def test_other_accounts_are_left_alone(passwd, group):
    assert account_problems(sites("alpha"), changed(PASSWD, passwd), changed(GROUP, group)) == []


def test_every_site_with_a_problem_is_named():
    found = account_problems(sites("alpha", "beta"), {}, GROUP)
    assert [problem.split(":")[0] for problem in found] == ["site alpha", "site beta"]

"""Apache and mod_fcgid call suEXEC as the other tests do: the same verdicts, seen through requests."""

import pytest

# site, its user; the status of a request and the exit code
SITES = [
    ("good", "alice", 200, 0),
    ("writable", "alice", 500, 116),
    ("closed", "alice", 500, 255),  # Apache's child cannot change to the directory: no line in suEXEC's log
    ("uid", "#54321", 500, 121),
    ("bare", "alice", 500, 255),
]


@pytest.fixture(scope="module")
def verdicts(ask, shell):
    shell("systemctl restart apache2")  # no process of an earlier request answers
    return {verdict["name"].removesuffix(".test"): verdict for verdict in ask()}


def test_apaches_configuration_tells_which_wrappers_there_are(verdicts, ask):
    wrappers = [
        {"name": f"{site}.test", "path": f"/var/www/wrapper/{site}/fcgid", "user": user, "group": "alice"}
        for site, user, _, _ in SITES
    ]
    assert [verdicts[site] for site, *_ in SITES] == ask(wrappers)
    assert verdicts.keys() == {*(site for site, *_ in SITES), "unnamed"}


def test_a_wrapper_without_an_account_of_its_own_runs_as_apache(verdicts, get):
    """SUX-03: Apache does not even ask suEXEC then."""
    verdict = verdicts["unnamed"]
    assert (verdict["ok"], verdict["check"]) == (False, "suexec_user_group")
    assert verdict["fix"].endswith("/etc/apache2/sites-enabled/unnamed.conf:6")
    assert get("http://unnamed.test/uid.php").body == "33"


@pytest.mark.parametrize(("site", "user", "status", "exit_code"), SITES)
def test_a_request_ends_as_foretold(verdicts, shell, get, site, user, status, exit_code):
    lines = "cat /var/log/apache2/suexec.log 2> /dev/null | sed 's/^[^]]*]: //'"
    before = shell(lines).splitlines()
    answer = get(f"http://{site}.test/uid.php")
    assert answer.status == status
    if status == 200:
        assert answer.body == "1000"
    new = shell(lines).splitlines()[len(before) :]
    assert verdicts[site]["exit_code"] == exit_code
    assert verdicts[site]["log"] == (new[-1] if new else "")

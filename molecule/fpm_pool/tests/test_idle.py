"""PHP that has nothing to do is stopped, and nothing else is; no request is lost by it."""

import time

import pytest

# systemd would not start it more than five times within 10 s
LOOK = "systemctl reset-failed stop-idle-sites.service; systemctl start stop-idle-sites.service"


@pytest.fixture(params=["cgi", "beta"], ids=["php_cgi", "fpm"])
def awake(host, site, request):
    """A site that has just answered, and a look has seen it so."""
    found = site(request.param)
    assert found.run("echo 'on';").body == "on"
    host.check_output(LOOK)
    assert found.show("ActiveState") == "active"
    return found


def is_gone(site):
    deadline = time.monotonic() + 5
    while site.show("ActiveState") != "inactive" and time.monotonic() < deadline:
        time.sleep(0.1)
    return site.host.run(f"ps -u {site.name}").rc == 1


def test_it_is_stopped_when_nothing_has_happened_since_the_last_look(host, awake):
    host.check_output(LOOK)
    assert is_gone(awake)
    assert awake.run("echo 'back';").body == "back"


def test_it_stays_where_it_has_served_a_request_since_the_last_look(host, awake):
    for _ in range(3):
        assert awake.run("echo 'on';").body == "on"
        host.check_output(LOOK)
    assert awake.show("ActiveState") == "active"


def test_it_stays_while_a_script_waits_for_somebody_else(host, awake):
    """No process wakes up meanwhile."""
    host.check_output(awake.writing("wait.php", "sleep(4); echo 'waited';"))
    before = awake.master
    looks = f"sleep 1; {LOOK}; sleep 0.5; {LOOK}; sleep 0.5; {LOOK}; {awake.asking('wait.php')}"
    first, second = awake.together(awake.asking("wait.php"), looks)
    assert [first.body, second.body] == ["waited", "waited"]
    assert awake.master == before


def test_the_last_worker_of_fpm_stays_until_its_master_goes(host, beta):
    """A request that comes while FPM takes the last worker away would wait for another one to come."""
    assert beta.run("echo 'on';").body == "on"
    workers = host.check_output(f"pgrep --parent {beta.master}")
    time.sleep(12)  # beyond what FPM has as its own default
    assert host.check_output(f"pgrep --parent {beta.master}") == workers


def test_workers_that_are_to_be_at_hand_stay(host, site):
    """The operator's word: `pm` is dynamic."""
    kept = site("ready")
    assert kept.run("echo 'on';").body == "on"
    before = kept.master
    host.check_output(f"{LOOK}; {LOOK}; {LOOK}")
    assert kept.master == before != 0


@pytest.mark.parametrize("name", ["cgi", "beta"])
def test_no_request_is_lost_while_it_is_stopped_again_and_again(host, site, name):
    """Requests come at any moment of a stop."""
    found = site(name)
    host.check_output(found.writing("on.php", "echo 'on';"))
    stopping = f"for i in $(seq 25); do systemctl stop {found.service}; sleep 0.05; done"
    asking = f"for i in $(seq 40); do {found.asking('on.php')}; done > /run/answers"
    host.check_output(f"({stopping}) & ({asking}); wait")
    answers = host.check_output("cat /run/answers").splitlines()
    assert len(answers) == 40
    assert all('"body": "on"' in answer for answer in answers), answers

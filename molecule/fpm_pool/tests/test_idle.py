"""php-cgi that has nothing to do is stopped, and nothing else is; FPM's masters are in test_status.py."""

import time

import pytest

# systemd would not start it more than five times within 10 s
LOOK = "systemctl reset-failed stop-idle-sites.service; systemctl start stop-idle-sites.service"


@pytest.fixture
def awake(cgi):
    """It has just answered, and a look has seen it so."""
    assert cgi.run("echo 'on';").body == "on"
    cgi.host.check_output(LOOK)
    assert cgi.show("ActiveState") == "active"
    return cgi


def is_gone(cgi):
    deadline = time.monotonic() + 5
    while cgi.show("ActiveState") != "inactive" and time.monotonic() < deadline:
        time.sleep(0.1)
    return cgi.host.run("ps -u cgi").rc == 1


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


def test_no_request_is_lost_while_it_is_stopped_again_and_again(host, cgi):
    """Requests come at any moment of a stop."""
    host.check_output(cgi.writing("on.php", "echo 'on';"))
    stopping = f"for i in $(seq 25); do systemctl stop {cgi.service}; sleep 0.05; done"
    asking = f"for i in $(seq 40); do {cgi.asking('on.php')}; done > /run/answers"
    host.check_output(f"({stopping}) & ({asking}); wait")
    answers = host.check_output("cat /run/answers").splitlines()
    assert len(answers) == 40
    assert all('"body": "on"' in answer for answer in answers), answers

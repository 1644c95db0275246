"""Nothing is lost while masters stop, start, reload and die.

Scripts that must outlast it spin: a signal wakes one that sleeps (REL-04).
"""

import pytest

SPIN = "$until = microtime(true) + 0.8; while (microtime(true) < $until); echo 'spun to its end';"


@pytest.mark.parametrize(
    ("name", "action"),
    [("alpha", "restart"), ("alpha", "stop"), ("alpha", "reload"), ("cgi", "restart"), ("cgi", "stop")],
)
def test_running_request_ends_and_new_one_waits(site, name, action):
    """REL-03, TMO-23."""
    one = site(name)
    one.host.check_output(
        " && ".join([one.writing("spin.php", SPIN), one.writing("next.php", "echo 'next';")])
    )
    before = one.run("echo posix_getppid();").body
    running, waiting = one.together(
        one.asking("spin.php"),
        f"sleep 0.3; systemctl {action} --no-block {one.service}; sleep 0.1; {one.asking('next.php')}",
    )
    assert (running.status, running.body) == (200, "spun to its end")
    assert (waiting.status, waiting.body) == (200, "next")
    if action != "reload":
        assert one.master != int(before)


def test_next_request_is_served_whenever_the_master_is_killed(beta):
    """Ten times in a row: systemd would give up after five, were it not told otherwise."""
    master = f"$(systemctl show --value --property MainPID {beta.service})"
    kill = f"systemctl kill --signal=KILL --kill-whom=main {beta.service}"
    beta.host.check_output(beta.writing("on.php", "echo 'on';"))
    # a worker of the one that is dead may have taken the request before systemd ended it, too
    step = f"before={master}; {kill}; {beta.asking('on.php')} && test $before != {master}"
    answers = beta.one_after_another(*[step] * 10)
    assert [(answer.status, answer.body) for answer in answers] == [(200, "on")] * 10


def test_php_cgi_serves_on_when_its_processes_are_killed(cgi):
    """Each connection waits for a process that is left, or for the next ones; five times in a row."""
    kill = f"systemctl kill --signal=KILL {cgi.service}"
    cgi.host.check_output(cgi.writing("pid.php", "echo posix_getppid();"))
    answers = cgi.one_after_another(*[f"{kill}; {cgi.asking('pid.php')}"] * 5)
    assert [answer.status for answer in answers] == [200] * 5
    assert len({answer.body for answer in answers}) == 5


def test_php_cgi_loses_no_request_when_processes_leave(cgi):
    """T14: each leaves after 20 requests, and there is another one."""
    cgi.host.check_output(cgi.writing("pid.php", "echo getmypid();"))
    answers = cgi.one_after_another(*[cgi.asking("pid.php")] * 60)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) >= 3


@pytest.fixture(params=["beta", "cgi"])
def coming_and_going(request, site):
    return site(request.param)


def test_stopped_service_leaves_its_socket(host, coming_and_going):
    one = coming_and_going
    inode = host.check_output("stat --format=%%i %s", one.socket)
    host.check_output("systemctl stop %s", one.service)
    assert host.check_output("stat --format=%%i %s", one.socket) == inode
    assert host.run("ps -u %s", one.name).rc == 1
    assert one.run("echo 'back';").body == "back"


def test_master_that_comes_and_goes_writes_nothing_to_the_journal_of_its_account(host, coming_and_going):
    """Such a journal takes 8 MB for each account, and a thousand of them push each other out."""
    one = coming_and_going
    start = host.check_output("date +@%s")
    host.check_output("systemctl stop %s", one.service)
    assert one.run("echo 'back';").body == "back"
    host.check_output("systemctl stop %s && journalctl --sync", one.service)
    reading = f"journalctl --no-pager --output=cat --since={start}"
    assert f"PHP of site {one.name}" in host.check_output(f"{reading} --unit={one.service}")
    assert host.check_output(f"{reading} --quiet _UID={host.user(one.name).uid}") == ""

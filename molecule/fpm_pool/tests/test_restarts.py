"""Nothing is lost while masters stop, start, reload and die.

Scripts that must outlast it spin: a signal wakes one that sleeps (REL-04).
"""

import pytest

SPIN = "$until = microtime(true) + 0.8; while (microtime(true) < $until); echo 'spun to its end';"


@pytest.mark.parametrize("action", ["restart", "stop", "reload"])
def test_running_request_ends_and_new_one_waits(alpha, action):
    """REL-03, TMO-23."""
    alpha.host.check_output(
        " && ".join([alpha.writing("spin.php", SPIN), alpha.writing("next.php", "echo 'next';")])
    )
    before = alpha.run("echo posix_getppid();").body
    running, waiting = alpha.together(
        alpha.asking("spin.php"),
        f"sleep 0.3; systemctl {action} --no-block {alpha.service}; sleep 0.1; {alpha.asking('next.php')}",
    )
    assert (running.status, running.body) == (200, "spun to its end")
    assert (waiting.status, waiting.body) == (200, "next")
    if action != "reload":
        assert alpha.master != int(before)


def test_next_request_is_served_whenever_the_master_is_killed(beta):
    """Ten times in a row: systemd would give up after five, were it not told otherwise."""
    kill = f"systemctl kill --signal=KILL --kill-whom=main {beta.service}"
    beta.host.check_output(beta.writing("pid.php", "echo posix_getppid();"))
    masters = set()
    for answer in beta.one_after_another(*[f"{kill}; {beta.asking('pid.php')}"] * 10):
        assert answer.status == 200
        masters.add(answer.body)
    assert len(masters) == 10


def test_stopped_service_leaves_its_socket(host, beta):
    inode = host.check_output("stat --format=%%i %s", beta.socket)
    host.check_output("systemctl stop %s", beta.service)
    assert host.check_output("stat --format=%%i %s", beta.socket) == inode
    assert host.run("ps -u beta").rc == 1
    assert beta.run("echo 'back';").body == "back"


def test_master_that_comes_and_goes_writes_nothing_to_the_journal_of_its_account(host, beta):
    """Such a journal takes 8 MB for each account, and a thousand of them push each other out."""
    start = host.check_output("date +@%s")
    host.check_output("systemctl stop %s", beta.service)
    assert beta.run("echo 'back';").body == "back"
    host.check_output("systemctl stop %s && journalctl --sync", beta.service)
    reading = f"journalctl --no-pager --output=cat --since={start}"
    assert "PHP of site beta" in host.check_output(f"{reading} --unit={beta.service}")
    assert host.check_output(f"{reading} --quiet _UID={host.user('beta').uid}") == ""

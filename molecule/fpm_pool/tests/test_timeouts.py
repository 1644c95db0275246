"""The clocks of a site: E = 1 s of CPU, S = 1 s, R = 4 s on the wall, and the heartbeat H = min(R, S) / 3."""

import time

import pytest

E, R, H = 1, 4, 1 / 3
SLACK = 1.5
"""Seconds that a busy machine may take to start and to end a process."""

WAIT = "touch(__DIR__ . '/waiting'); sleep(30); touch(__DIR__ . '/waited');"
SPIN = "$until = microtime(true) + 30; while (microtime(true) < $until); echo 'spun';"
FINISH = """
file_put_contents(__DIR__ . '/finished', getmypid());
echo 'finished';
fastcgi_finish_request();
sleep(30);
touch(__DIR__ . '/survived');
"""


@pytest.fixture(scope="module")
def overdue(alpha):
    """The answers of scripts that run too long, nearly at the same time.

    Not quite, because an ondemand master may take requests that come together for one, and let them wait
    for each other.
    """
    codes = {"wait": WAIT, "spin": SPIN, "finish": FINISH}
    written = [alpha.writing(f"{name}.php", code) for name, code in codes.items()]
    alpha.host.check_output(f"rm -f {alpha.log}/*.log; systemctl stop {alpha.service}")
    alpha.host.check_output(" && ".join(written))
    assert alpha.run("echo 'warm';").body == "warm"
    asked = [f"sleep 0.{3 * number}; {alpha.asking(f'{name}.php')}" for number, name in enumerate(codes)]
    return dict(zip(codes, alpha.together(*asked)))


def test_tenant_cannot_give_itself_more_time(alpha):
    """TMO-06."""
    code = """
    $attempts = [set_time_limit(99), ini_set('max_execution_time', 99)];
    echo json_encode([...$attempts, ini_get('max_execution_time')]);
    """
    assert alpha.run(code).json == [False, False, "1"]


def test_busy_script_is_ended_by_php_itself(overdue, host, alpha):
    """TMO-05: PHP's own end is the better one, with an error, a log, and shutdown functions."""
    answer = overdue["spin"]
    assert (answer.status, answer.body) == (500, "")
    assert E <= answer.seconds < R + SLACK
    assert "Maximum execution time of 1 second exceeded" in host.file(f"{alpha.log}/php.log").content_string


def test_waiting_script_is_ended_by_the_master(overdue, host, alpha):
    """TMO-01, TMO-02: it uses no CPU, so only the wall clock can end it."""
    answer = overdue["wait"]
    assert not answer.ended
    assert R <= answer.seconds < R + H + SLACK
    assert host.file(f"{alpha.root}/waiting").exists
    assert not host.file(f"{alpha.root}/waited").exists


def test_slow_log_tells_where_the_script_was(overdue, host, alpha):
    """The master reads the worker's stack, which takes ptrace."""
    text = host.file(f"{alpha.log}/slow.log").content_string
    assert f"script_filename = {alpha.root}/wait.php" in text
    assert f"sleep() {alpha.root}/wait.php:1" in text


def test_finished_answer_does_not_outlive_the_clock(overdue, host, alpha):
    """TMO-27: fastcgi_finish_request() would otherwise hold a worker for ever."""
    answer = overdue["finish"]
    assert (answer.status, answer.body) == (200, "finished")
    assert answer.seconds < R
    worker = host.file(f"{alpha.root}/finished").content_string
    deadline = time.monotonic() + R + H + SLACK
    while host.file(f"/proc/{worker}").exists and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not host.file(f"/proc/{worker}").exists
    assert not host.file(f"{alpha.root}/survived").exists


def test_php_cgi_ends_a_busy_script(host, cgi):
    """TMO-06: it cannot give itself more time either."""
    answer = cgi.run("set_time_limit(99); while (true);")
    assert (answer.status, answer.body) == (500, "")
    assert "Maximum execution time of 1 second exceeded" in host.file(f"{cgi.log}/php.log").content_string


def test_nothing_ends_a_script_that_waits_behind_php_cgi(cgi):
    """TMO-01: this is what it lacks."""
    answer = cgi.run("sleep(6); echo 'waited';")
    assert (answer.status, answer.body) == (200, "waited")


def test_site_serves_on_afterwards(overdue, alpha):
    assert alpha.run("echo 'on';").body == "on"


@pytest.mark.parametrize("log", ["php.log", "slow.log"])
def test_logs_are_for_the_site_alone(overdue, host, as_user, alpha, log):
    path = f"{alpha.log}/{log}"
    assert host.file(path).user == "alpha"
    for other in ("beta", "stranger", "www-data", "nobody"):
        assert as_user(other, f"cat {path}").rc != 0


def test_operators_can_read_the_slow_log(host, beta):
    """From the first line on, and after it has been rotated."""
    path = f"{beta.log}/slow.log"
    reading = "setpriv --reuid nobody --regid nogroup --groups adm cat"
    assert host.run(f"{reading} {path}").rc == 0
    host.check_output(f"echo slow >> {path} && logrotate --force /etc/logrotate.d/fastcgi")
    assert beta.run("echo 'on';").body == "on"
    assert host.check_output(f"{reading} {path}.1").endswith("slow")
    assert host.run(f"{reading} {path}").rc == 0
    assert host.file(path).user == "beta"


def test_slow_log_goes_on_after_it_has_been_rotated(overdue, host, alpha):
    path = f"{alpha.log}/slow.log"
    host.check_output("logrotate --force /etc/logrotate.d/fastcgi")
    assert "wait.php" not in host.file(path).content_string
    assert alpha.run("sleep(2); echo 'slept';").body == "slept"
    assert "sleep()" in host.file(path).content_string


def test_master_reports_to_the_journal_under_the_name_of_its_site(overdue, host, alpha):
    """What FPM itself has to say, such as a worker that it ended, is the operator's to know."""
    said = host.check_output("journalctl --no-pager --output=cat --identifier=fastcgi-alpha")
    assert "execution timed out" in said

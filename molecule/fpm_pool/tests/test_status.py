"""FPM's status: for root, at any time, and for nobody else (SEC-49)."""

import time

import pytest


def status_of(name):
    """The command that the README gives."""
    return (
        "SCRIPT_NAME=/fastcgi-status SCRIPT_FILENAME=/fastcgi-status REQUEST_METHOD=GET "
        f"cgi-fcgi -bind -connect /run/fastcgi/status/{name}.sock"
    )


def read(output):
    return {key: value.strip() for key, _, value in (line.partition(":") for line in output.splitlines())}


def test_root_reads_it_while_all_workers_are_busy(host, site):
    """Two requests run and two wait; the status has a process of its own."""
    changing = site("changing")
    host.check_output(changing.writing("busy.php", "sleep(6);"))
    # not all at once, because an ondemand master may take requests that come together for one
    asking = " ".join(f"(sleep 0.{2 * number}; {changing.asking('busy.php')}) &" for number in range(4))
    said = read(host.check_output(f"({asking}) > /dev/null 2>&1; sleep 1.5; {status_of('changing')}"))
    assert (said["pool"], said["active processes"]) == ("changing", "2")
    assert int(said["max children reached"]) > 0


@pytest.mark.parametrize("user", ["www-data", "alpha", "beta"])
def test_nobody_else_can_connect(host, as_user, user):
    assert read(host.check_output(status_of("alpha")))["pool"] == "alpha"
    refused = as_user(user, status_of("alpha"))
    assert refused.rc != 0
    assert "Could not connect" in refused.stdout + refused.stderr


def test_reading_it_leaves_no_process_behind(host, beta):
    host.check_output(f"systemctl stop {beta.service} && {status_of('beta')}")
    assert beta.master != 0
    time.sleep(12)  # the process that answered leaves after 10 s
    host.check_output("systemctl start stop-idle-sites.service")
    for _ in range(20):
        if beta.show("ActiveState") == "inactive":
            break
        time.sleep(0.1)
    assert host.run("ps -u beta").rc == 1
    assert read(host.check_output(status_of("beta")))["pool"] == "beta"


def test_its_sockets_come_and_go_with_their_sites(host):
    with_fpm = ("alpha", "beta", "changing", "host", "limited", "ready", "stranger", "turning")
    sockets = host.check_output("ls /run/fastcgi/status").split()
    assert sorted(sockets) == [f"{name}.sock" for name in with_fpm]

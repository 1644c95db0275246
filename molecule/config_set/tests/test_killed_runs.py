"""A run that is killed at any step leaves a host that starts, and the next run converges (REL-05, R05)."""

import pytest

FINISHED = ("done", "manifest")
CASES = [
    *(
        ("fpm_pool", point)
        for point in ("staged", "begun", "validated", "swapped one", "swapped all", "followed")
    ),
    *(("fpm_pool", point) for point in FINISHED),
    # the steps are the same for every set; what differs is what a half-done swap does to its daemon
    *(("apache_fastcgi", point) for point in ("begun", "swapped one", "swapped all")),
    *(("apache_vhost", point) for point in ("begun", "swapped one", "swapped all", "followed")),
]


@pytest.mark.parametrize("role, point", CASES)
def test_the_host_starts_and_the_next_run_converges(host, converge, files, page, lists, role, point):
    """To whichever of the two lists the host does not have; each removes, adds and changes a site."""
    forward = host.file("/etc/apache2/sites-enabled/goes.conf").exists
    wanted, limit = (lists["after"], "99M") if forward else (lists["before"], "128M")
    come, gone = ("comes", "goes") if forward else ("goes", "comes")
    old = files(role)
    killed = converge(wanted, die_at=f"{role}: {point}")
    assert killed.returncode != 0, killed.stdout

    # what a reboot or an operator does: all daemons start anew from what is on disk
    host.check_output("systemctl stop apache2 'fastcgi-*.service'")
    host.check_output("systemctl start apache2")
    assert page("stays") == "stays 128M"
    assert page("changes").startswith("changes ")
    assert (files(role) == old) == (point not in FINISHED)
    assert host.check_output("systemctl --failed --no-legend") == ""

    done = converge(wanted)
    assert done.returncode == 0, done.stdout
    assert page("changes") == f"changes {limit}"
    assert host.check_output(f"find /etc/apache2 /etc/fastcgi /etc/systemd -name '*{gone}*'") == ""
    assert host.check_output(f"systemctl is-active fastcgi-{come}.socket") == "active"
    assert host.check_output("find /var/lib/config_set -path '*/transaction/*'") == ""

"""One worker per site: its own PHP, its own patience, its own failures."""

import itertools
import time

import pytest

SITES = {name: f"http://{name}.example" for name in ("uk", "uk2", "members")}


def elapsed(get, url):
    """The answer, and the seconds until it came."""
    started = time.monotonic()
    return get(url), time.monotonic() - started


@pytest.fixture
def stopped(host):
    """Site uk2 without its PHP: neither socket nor master."""
    host.check_output("systemctl stop fastcgi-uk2.socket fastcgi-uk2.service")
    yield
    host.check_output("systemctl start fastcgi-uk2.socket")


@pytest.fixture
def frozen(host, get):
    """Site uk2 with a PHP that takes connections and never says a word."""
    assert get(SITES["uk2"]).status == 200
    host.check_output("systemctl kill --signal=STOP fastcgi-uk2.service")
    yield
    host.check_output("systemctl kill --signal=CONT fastcgi-uk2.service")


@pytest.fixture
def enabled(host):
    """Enable the virtual hosts in a given order."""
    directory = "/etc/apache2/sites-enabled"
    originally = host.check_output(f"cd {directory} && ls -d ?0-uk2.conf ?0-uk.conf ?0-members.conf").split()

    def enable(order):
        moves = [f"mv -n ?0-{site}.conf {number}0-{site}.conf" for number, site in enumerate(order, 1)]
        # in two steps, since the new name of one may be the old name of another
        host.check_output(f"cd {directory} && mkdir aside && mv ?0-uk*.conf ?0-members.conf aside")
        host.check_output(f"cd {directory}/aside && {' && '.join(moves)} || true")
        host.check_output(f"cd {directory} && mv aside/* . && rmdir aside && systemctl reload apache2")

    yield enable
    enable([name[3:-5] for name in originally])


@pytest.mark.parametrize("order", itertools.permutations(SITES), ids="-".join)
def test_each_site_reaches_its_own_php_in_any_order(get, enabled, order):
    """Also where one name begins with another (SEC-05, I01, I06)."""
    enabled(order)
    for site, url in SITES.items():
        assert {get(f"{url}/index.php").body for attempt in range(3)} == {f"index of {site}"}


def test_a_stopped_socket_is_an_error_at_once_and_of_one_site_alone(host, get, stopped):
    answer, seconds = elapsed(get, SITES["uk2"])
    assert answer.status == 503
    assert seconds < 2
    assert get(SITES["uk"]).body == "index of uk"
    host.check_output("systemctl start fastcgi-uk2.socket")
    assert get(SITES["uk2"]).body == "index of uk2"


def test_a_silent_php_is_given_up_after_the_sites_own_timeout(get, frozen):
    """TMO-12: 4 s are this worker's; Apache's own limit would be 300 s. The status is Apache's (TMO-29)."""
    answer, seconds = elapsed(get, SITES["uk2"])
    assert answer.status == 504
    assert 3.5 < seconds < 8
    assert get(SITES["uk"]).body == "index of uk"


def test_a_silent_script_is_ended_by_fpm_before_apache_gives_up(host, get):
    """TMO-29: 503 and AH01067 say that FPM ended it, 504 would be Apache's impatience."""
    host.check_output("truncate -s 0 /var/log/apache2/error.log")
    answer, seconds = elapsed(get, f"{SITES['uk2']}/sleep.php?seconds=20")
    assert answer.status == 503
    assert 2 <= seconds < 4
    assert "AH01067" in host.file("/var/log/apache2/error.log").content_string
    assert "execution timed out" in host.check_output("journalctl --unit=fastcgi-uk2.service --output=cat")
    assert get(SITES["uk2"]).body == "index of uk2"


# ---------------------------------------------------------------- php-cgi

CGI = "http://cgi.example"


def test_a_silent_script_of_php_cgi_is_given_up_and_runs_on(host, get):
    """TMO-01, TMO-30: nothing ends it, and the other processes serve the site meanwhile."""
    answer, seconds = elapsed(get, f"{CGI}/sleep.php?seconds=9")
    assert answer.status == 504
    assert 5.5 < seconds < 8
    assert get(CGI).body == "index of cgi"
    assert host.check_output("grep -c /run/fastcgi/bind/cgi.sock /proc/net/unix") == "2"


def test_probe_is_answered_by_php_cgi_itself(host, get):
    """By a script of root's, which is run although the site's settings keep its own to other directories."""
    number = "0" * 32
    ask = [f"{CGI}/fastcgi-ping", "-H", f"Config-Set-Probe: {number}"]
    assert get(ask[0]).status == 403
    host.check_output(f"install -d -m 711 /run/config_set && touch /run/config_set/{number}")
    try:
        assert (get(*ask).status, get(*ask).body) == (200, "cgi")
        host.check_output("systemctl stop fastcgi-cgi.socket fastcgi-cgi.service")
        assert (get(*ask).status, get(*ask).body) == (503, "cgi")
    finally:
        host.check_output(f"systemctl start fastcgi-cgi.socket; rm /run/config_set/{number}")


def test_a_site_with_more_time_is_left_alone(get):
    """The neighbour's short limits are its own."""
    assert get(f"{SITES['uk']}/sleep.php?seconds=5").body == "slept"

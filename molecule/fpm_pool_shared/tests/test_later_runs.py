"""Later runs of the role, and what happens to the service: requests, refusals, kills, the way back."""

import contextlib
import json
import shlex
from pathlib import Path

import pytest
import yaml

SCENARIO = Path(__file__).resolve().parents[1]
SITES = yaml.safe_load((SCENARIO / "vars/sites.yml").read_text())["fastcgi_sites"]
GAMMA = {"name": "gamma", "server_name": "gamma.example"}
POOLS = "/etc/php/8.2/fpm/pool.d"
SERVICE = "php8.2-fpm"
SCRIPT = """
$until = microtime(true) + 0.05;
while (microtime(true) < $until);
echo json_encode(['uid' => posix_geteuid(), 'memory' => ini_get('memory_limit')]);
"""
ADDRESSES = {
    "alpha": "/run/fastcgi/way/alpha/alpha.sock",
    "beta": "/run/beta/php.sock",
    "gamma": "/run/fastcgi/way/gamma/gamma.sock",
}


@pytest.fixture(scope="module", autouse=True)
def scripts(host, site):
    for name in ADDRESSES:
        host.check_output(site(name).writing("uid.php", SCRIPT))


@pytest.fixture
def converge(play):
    """Bring the host to a list of sites; `die_at` names a point of the change."""

    def converge(sites, master="shared", die_at=""):
        variables = {"fastcgi_sites": sites, "fpm_pool_master": master, "die_at": die_at}
        return play(SCENARIO / "converge.yml", variables, "--tags", "fpm_pool_configure")

    return converge


@pytest.fixture
def converged(converge):
    """The same, which succeeds."""

    def converged(*arguments):
        run = converge(*arguments)
        assert run.returncode == 0, run.stdout

    return converged


@pytest.fixture
def asked(host, site):
    """What a site answers at the address that its virtual host has."""

    def asked(name):
        client = "runuser -u www-data -- python3 /usr/local/lib/fastcgi-request.py"
        answer = host.check_output(f"{client} $(realpath {ADDRESSES[name]}) /var/www/sites/{name}/uid.php")
        return json.loads(json.loads(answer)["body"])

    return asked


@pytest.fixture
def asking(host):
    """Clients that ask alpha and beta all the while; none of their requests may fail."""

    @contextlib.contextmanager
    def asking():
        pairs = " ".join(
            f"$(realpath {ADDRESSES[name]}) /var/www/sites/{name}/uid.php" for name in ("alpha", "beta")
        )
        host.check_output(
            "systemd-run --collect --unit=asking --uid=www-data -p StandardOutput=truncate:/run/asked "
            f"python3 /usr/local/lib/clients.py {pairs}"
        )
        try:
            yield
        finally:
            host.check_output("systemctl stop asking")
        for address, result in json.loads(host.check_output("cat /run/asked")).items():
            assert result["failed"] == [], address
            assert result["requests"] > 10, f"{address}: no load"

    return asking


@pytest.fixture
def state(host):
    """All that the role may write on disk, with contents, and what the service manager has of it."""

    def state():
        places = "/etc/{fastcgi,php,systemd/system,logrotate.d,tmpfiles.d} /usr/local/lib/fastcgi"
        look = (
            f"(find {places}; echo /var/log/fastcgi/*) | xargs stat --format='%N %U %G %a' | sort; "
            f"find {places} -type f -exec sha256sum {{}} + | sort; "
            "systemctl list-units --all --plain --no-legend 'fastcgi-*.socket' 'stop-idle-*' | sort"
        )
        return host.check_output(f"bash -c {shlex.quote(look)}")

    return state


def test_nothing_is_lost_while_a_site_comes_another_changes_and_goes(host, converged, asked, asking):
    alpha, beta = SITES
    slow = {**GAMMA, "timeout": {"max_execution_time": 10, "request_terminate_timeout": 30}}
    with asking():
        converged([{**alpha, "php_admin_value": {"memory_limit": "99M"}}, beta, slow])
        assert (asked("alpha")["memory"], asked("beta")["memory"]) == ("99M", "128M")
        assert asked("gamma")["uid"] == host.user("gamma").uid
        assert clocks(host) == ("31", "36s")
        converged(SITES)
    assert asked("alpha")["memory"] == "128M"
    assert clocks(host) == ("5", "10s")
    assert not host.file(ADDRESSES["gamma"]).exists
    assert host.run("ps -u gamma").rc == 1


def clocks(host):
    """How long the master waits for requests, and the service manager for the master (REL-03, TMO-22)."""
    told = host.check_output("php-fpm8.2 -tt 2>&1 | grep -o 'process_control_timeout = [0-9]*'")
    return told.split()[-1], host.check_output(f"systemctl show -P TimeoutStopUSec {SERVICE}")


def test_nothing_is_lost_while_the_service_restarts_reloads_and_stops(host, asking):
    with asking():
        for action in ("restart", "reload", "stop", "start", "restart") * 2:
            host.check_output(f"systemctl {action} {SERVICE} && sleep 0.3")


def test_next_request_is_served_whenever_the_master_is_killed(host, asked):
    for _ in range(6):
        host.check_output(f"systemctl kill --signal=KILL --kill-whom=main {SERVICE}")
        assert asked("alpha")["uid"] == host.user("alpha").uid


def test_host_that_boots_serves_also_where_the_service_is_not_enabled(host, asked):
    """The sockets are there before it, and the first request starts it."""
    stop = f"systemctl stop 'fastcgi-*.socket' {SERVICE}"
    for start in ("sockets.target", SERVICE):
        host.check_output(f"{stop}; systemctl start {start}")
        assert asked("beta")["uid"] == host.user("beta").uid
        assert host.check_output("systemctl is-active fastcgi-alpha.socket") == "active"


POOL = "[by-hand]\nuser = {user}\nlisten = {directory}/x.sock\npm = {mode}\npm.max_children = 1\n"
REFUSED = {
    "what its own test finds": POOL.format(user="nobody", directory="/run", mode="sometimes"),
    "a missing directory, FPM-01": POOL.format(user="nobody", directory="/run/missing", mode="static"),
    "the user root, FPM-01": POOL.format(user="root", directory="/run", mode="static"),
    "the name of a site, SEC-06": "[ALPHA]\nuser = beta\n",
}


@pytest.fixture
def by_hand(host):
    """Put a pool beside those of the sites."""
    yield lambda what: host.check_output(f"printf %s > {POOLS}/by-hand.conf", REFUSED[what])
    host.check_output(f"rm {POOLS}/by-hand.conf")


@pytest.mark.parametrize("what", REFUSED)
def test_reload_with_a_pool_that_would_harm_all_is_refused(host, asked, by_hand, what):
    """REL-01: the package's own reload succeeds, and the master is gone."""
    master = host.check_output(f"systemctl show -P MainPID {SERVICE}")
    by_hand(what)
    assert host.run(f"systemctl reload {SERVICE}").rc != 0
    assert host.check_output(f"systemctl show -P MainPID {SERVICE}") == master
    assert asked("alpha")["uid"] == host.user("alpha").uid


def test_pool_that_would_harm_all_is_found_before_anything_changes(converge, asked, state, by_hand):
    """REL-02, SEC-06."""
    by_hand("the name of a site, SEC-06")
    before = state()
    run = converge([*SITES, GAMMA])
    assert run.returncode != 0
    assert "of site alpha" in run.stdout
    assert f"the pool [alpha] is in {POOLS}/by-hand.conf already" in run.stdout
    assert state() == before


def test_master_that_does_not_start_brings_the_old_files_back(host, converge, asked, state):
    """REL-01: what no test of the configuration can find."""
    drop_in = f"/run/systemd/system/{SERVICE}.service.d"
    words = "cannot reach the licence server"
    before = state()
    # once, since the old files could not be brought to run either otherwise
    once = f"ExecStartPre=/bin/sh -c '! rm /run/broken || {{ echo {words}; exit 1; }}'"
    host.check_output(f'mkdir -p {drop_in} && printf "[Service]\\n%s\\n" "{once}" > {drop_in}/local.conf')
    host.check_output("touch /run/broken")
    try:
        run = converge([*SITES, GAMMA])
        assert run.returncode != 0
        assert words in run.stdout
        assert state() == before
        assert asked("alpha")["uid"] == host.user("alpha").uid
    finally:
        host.check_output(f"rm -r {drop_in} && systemctl daemon-reload")


@pytest.mark.parametrize("point", ["swapped one", "followed"])
def test_killed_run_leaves_a_host_that_starts(host, converge, converged, asked, point):
    """REL-05: a site comes, another changes."""
    alpha, beta = SITES
    changed = {**alpha, "php_admin_value": {"memory_limit": "99M"}}
    killed = converge([changed, beta, GAMMA], "shared", f"fpm_pool: {point}")
    assert killed.returncode != 0
    host.check_output(f"systemctl stop {SERVICE} && systemctl start {SERVICE}")
    assert asked("alpha")["memory"] == asked("beta")["memory"] == "128M"
    assert host.check_output("find /etc/fastcgi /etc/systemd /run/fastcgi -name '*gamma*.*'") == ""
    assert host.check_output("systemctl --failed --no-legend") == ""
    assert host.check_output("find /var/lib/config_set -path '*/transaction/*'") == ""


def test_change_of_the_kind_of_master_loses_nothing_and_leaves_nothing_behind(
    host, converge, converged, asking, state, asked
):
    """Also where a run is killed that has brought the daemons to it already."""
    seen = {"shared": state()}
    for kind in ("own", "shared"):
        assert converge(SITES, kind, "fpm_pool: followed").returncode != 0
        host.check_output(f"systemctl restart {SERVICE}")
        for name in ("alpha", "beta"):
            assert asked(name)["uid"] == host.user(name).uid
        assert host.check_output("systemctl --failed --no-legend") == ""
        with asking():
            converged(SITES, kind)
        assert host.check_output(f"systemctl is-active {SERVICE}") == "active"
        if kind == "own":
            seen[kind] = state()
    for path in ("shared-fpm", "zz-fastcgi", "fpm.service.d/fastcgi.conf", "fpm.service.wants/fastcgi"):
        assert path in seen["shared"]
        assert path not in seen["own"]
    for path in ("fastcgi-alpha.service", "stop-idle"):
        assert path in seen["own"]
        assert path not in seen["shared"]
    assert state() == seen["shared"]
    assert host.run("systemctl is-active 'fastcgi-*.service'").stdout.split() == []


def test_limits_are_refused_with_the_name_of_the_site(converge, state):
    before = state()
    run = converge([SITES[0], {**SITES[1], "limits": {"memory_max": "64M"}}])
    assert run.returncode != 0
    assert "sites[1] (beta).limits" in run.stdout
    assert state() == before


def test_last_site_that_goes_gives_the_package_its_service_back(host, converged):
    converged([])
    assert host.check_output(f"systemctl is-active {SERVICE}") == "active"
    assert host.check_output(f"ls {POOLS}") == "www.conf"
    assert host.check_output("find /run/fastcgi -type s") == ""
    master = host.check_output(f"tr '\\0' ' ' < /proc/$(systemctl show -P MainPID {SERVICE})/cmdline")
    assert "opcache" not in master


def test_last_site_that_goes_where_no_other_pool_is_leaves_the_service_stopped(host, converged, asked):
    """FPM-04."""
    host.check_output(f"mv {POOLS}/www.conf /root/")
    try:
        converged(SITES)
        assert asked("alpha")["memory"] == "128M"
        converged([])
        assert host.check_output(f"systemctl show -P ActiveState -P Result {SERVICE}").split() == [
            "success",
            "inactive",
        ]
        assert host.check_output("systemctl --failed --no-legend") == ""
    finally:
        host.check_output(f"mv /root/www.conf {POOLS}/ && systemctl restart {SERVICE}")

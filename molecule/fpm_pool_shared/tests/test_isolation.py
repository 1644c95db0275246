"""What sites see of each other that share a master."""

import json

import pytest

PROGRAM = "/usr/local/lib/fastcgi/shared-fpm"


@pytest.fixture
def opcache_without_users(host):
    """The opcache as it is where nobody has told it to look at the modes of files."""
    host.check_output(
        f"cp -a {PROGRAM} /root/ && sed -i s/validate_permission=1/validate_permission=0/ {PROGRAM}"
    )
    host.check_output("systemctl restart php8.2-fpm")
    yield
    host.check_output(f"mv /root/shared-fpm {PROGRAM} && systemctl restart php8.2-fpm")


def stolen(alpha, beta):
    """What alpha gets that includes a file of beta's, which beta alone can read and has used just now."""
    secret = f"{beta.root}/secret.php"
    include = f"$file = '{secret}'; echo json_encode(@include $file);"
    # older than two seconds: the opcache does not take what may still be being written
    older = f"chmod 600 {secret} && touch --date '1 minute ago' {secret}"
    alpha.host.check_output(f"{beta.writing('secret.php', 'return 42;')} && {older}")
    ask = [site.writing("include.php", include) for site in (alpha, beta)]
    ask += [beta.asking("include.php"), beta.asking("include.php"), alpha.asking("include.php")]
    told = alpha.host.check_output(" && ".join(ask))
    first, again, taken = (json.loads(line)["body"] for line in told.splitlines())
    assert (first, again) == ("42", "42")
    return taken


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_php_runs_as_the_user_of_the_site(host, site, name):
    account = host.user(name)
    answer = site(name).run("echo json_encode([posix_geteuid(), posix_getegid(), posix_getgroups()]);")
    assert answer.json == [account.uid, account.gid, [account.gid]]


def test_all_of_them_have_the_master_of_the_package(alpha, beta):
    masters = {site.run("echo posix_getppid();").body for site in (alpha, beta)}
    assert masters == {alpha.host.check_output("systemctl show -P MainPID php8.2-fpm")}


def test_neighbour_cannot_connect(host, alpha):
    """SEC-09."""
    answer = json.loads(host.check_output(alpha.asking("any.php", user="beta")))
    assert answer["failure"] == "Permission denied"


def test_worker_has_no_socket_of_a_neighbour(host, alpha, beta):
    """The master has them all. Whoever had a neighbour's could answer in its name."""
    open_files = alpha.run("echo implode(' ', array_map('readlink', glob('/proc/self/fd/*')));").body
    listening = {
        line.split()[-1]: line.split()[-2] for line in host.file("/proc/net/unix").content_string.splitlines()
    }
    assert f"socket:[{listening['/run/fastcgi/bind/alpha.sock']}]" in open_files
    assert f"socket:[{listening['/run/fastcgi/bind/beta.sock']}]" not in open_files


def test_opcache_gives_away_no_file_of_a_neighbour(alpha, beta):
    """SEC-07."""
    assert stolen(alpha, beta) == "false"


def test_opcache_would_give_it_away_were_it_not_told(opcache_without_users, alpha, beta):
    """SEC-07: the test above finds it."""
    assert stolen(alpha, beta) == "42"


@pytest.mark.parametrize("call", ["opcache_get_status()", "opcache_reset()"])
def test_opcache_cannot_be_listed_or_emptied(alpha, call):
    """SEC-07."""
    assert alpha.run(f"echo json_encode(@{call});").body == "false"


def test_slow_log_is_beside_the_directory_of_the_tenant(host, alpha):
    """SEC-17: root opens it."""
    log = host.file(f"{alpha.log}.slow.log")
    assert (log.user, log.mode & 0o077) == ("root", 0)


def test_slow_request_is_noticed_and_its_log_rotated(host, alpha):
    """The backtrace itself takes root CAP_SYS_PTRACE, which the host under test may lack."""
    assert alpha.run("sleep(3); echo 'slept';").body == "slept"
    assert "executing too slow" in host.file("/var/log/php8.2-fpm.log").content_string
    host.check_output(f"echo trace >> {alpha.log}.slow.log && logrotate --force /etc/logrotate.d/fastcgi")
    assert host.check_output(f"zcat {alpha.log}.slow.log.1.gz").endswith("trace")


def test_request_that_hangs_is_ended_without_harm_to_others(alpha, beta):
    """TMO-02: 4 s, and the heartbeat of the quickest of all pools."""
    hung = alpha.run("$until = microtime(true) + 20; while (microtime(true) < $until) usleep(100000);")
    assert not hung.ended
    assert 4 <= hung.seconds < 5.5
    assert beta.run("echo 'served';").body == "served"


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_root_alone_reads_the_status_of_each_site(host, as_user, name):
    ask = (
        "SCRIPT_NAME=/fastcgi-status SCRIPT_FILENAME=/fastcgi-status REQUEST_METHOD=GET "
        f"cgi-fcgi -bind -connect /run/fastcgi/status/{name}.sock"
    )
    assert f"pool:                 {name}\n" in host.check_output(ask)
    for user in ("www-data", name):
        assert "Could not connect" in as_user(user, ask).stderr

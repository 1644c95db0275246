"""What sites see of each other that share a master."""

import json

import pytest


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_php_runs_as_the_user_of_the_site(host, site, name):
    account = host.user(name)
    answer = site(name).run("echo json_encode([posix_geteuid(), posix_getegid(), posix_getgroups()]);")
    assert answer.json == [account.uid, account.gid, [account.gid]]


def test_all_of_it_is_the_service_of_the_package(alpha, beta):
    masters = {site.run("echo posix_getppid();").body for site in (alpha, beta)}
    assert masters == {alpha.host.check_output("systemctl show -P MainPID php8.2-fpm")}


def test_socket_is_for_apache_alone(host, alpha):
    """SEC-09, SEC-11."""
    socket, directory = host.file(alpha.socket), host.file("/run/fastcgi")
    assert (socket.user, socket.group, socket.mode) == ("root", "www-data", 0o660)
    assert (directory.user, directory.group, directory.mode) == ("root", "root", 0o711)
    answer = json.loads(host.check_output(alpha.asking("uid.php", user="beta")))
    assert answer["failure"] == "Permission denied"


def test_directory_of_the_sockets_outlives_a_boot(host):
    host.check_output("mv /run/fastcgi /run/fastcgi-away")
    try:
        host.check_output("systemd-tmpfiles --create")
        directory = host.file("/run/fastcgi")
        assert (directory.user, directory.group, directory.mode) == ("root", "root", 0o711)
    finally:
        host.check_output("rmdir /run/fastcgi; mv /run/fastcgi-away /run/fastcgi")


@pytest.mark.parametrize("mode", ["0600", "0640"])
def test_opcache_gives_away_no_file_of_a_neighbour(host, alpha, beta, mode):
    """SEC-07: beta has used it, so it is in the memory that alpha shares."""
    secret = f"{beta.root}/secret-{mode}.php"
    host.check_output(
        f"{beta.writing(f'secret-{mode}.php', 'return 42;')} && chmod {mode} {secret} && "
        f"touch --date '1 minute ago' {secret} && chmod o+x {beta.root}"
    )
    assert beta.run(f"$file = '{secret}'; include $file; echo include $file;").body == "42"
    answer = alpha.run(f"$file = '{secret}'; echo json_encode(@include $file);")
    assert answer.body == "false"


@pytest.mark.parametrize("call", ["opcache_get_status()", "opcache_reset()"])
def test_opcache_cannot_be_listed_or_emptied(alpha, call):
    assert alpha.run(f"echo json_encode(@{call});").body == "false"


def test_slow_log_is_beside_the_directory_of_the_tenant(host, alpha):
    """SEC-17: root opens it."""
    log = host.file(f"{alpha.log}.slow.log")
    assert (log.user, log.mode & 0o077) == ("root", 0)


def test_slow_log_is_noticed_and_rotated(host, alpha):
    """The backtrace itself takes root CAP_SYS_PTRACE, which the host under test may lack."""
    assert alpha.run("sleep(3); echo 'slept';").body == "slept"
    assert "executing too slow" in host.file("/var/log/php8.2-fpm.log").content_string
    host.check_output(f"echo trace >> {alpha.log}.slow.log && logrotate --force /etc/logrotate.d/fastcgi")
    assert host.check_output(f"zcat {alpha.log}.slow.log.1.gz").endswith("trace")

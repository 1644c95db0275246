"""The socket: who may use it, and what stands behind it."""

import json

import pytest


@pytest.mark.parametrize("name", ["alpha", "cgi"])
def test_socket_is_for_apache_alone(host, site, name):
    """SEC-09, SEC-15: the tenant does not own it, so it cannot open it to others."""
    socket = host.file(site(name).socket)
    assert socket.is_socket
    assert (socket.user, socket.group, socket.mode) == ("root", "www-data", 0o660)


def test_nobody_can_put_another_socket_in_its_place(host, alpha):
    """SEC-10, SEC-11."""
    path = alpha.socket
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        directory = host.file(path)
        assert directory.user == "root"
        assert directory.mode & 0o022 == 0, path


def test_address_is_told_to_nobody_but_root(host, alpha, beta, as_user):
    """SEC-01: neither by directories, nor by the kernel, nor by the service manager."""
    for user in ("alpha", "www-data"):
        for directory in ("/run/fastcgi", "/run/fastcgi/bind", "/etc/tmpfiles.d/fastcgi.conf"):
            assert as_user(user, f"ls {directory}/ || cat {directory}").rc != 0
    told = alpha.run("phpinfo(); readfile('/proc/self/net/unix'); readfile('/proc/self/mountinfo');").body
    told += host.check_output("systemctl show 'fastcgi-*'; cat /etc/systemd/system/fastcgi-*; ss -xlp")
    assert f"/run/fastcgi/bind/{beta.name}.sock" in told
    for site in (alpha, beta):
        assert site.socket.split("/")[3] not in told
    assert alpha.socket.split("/")[3] != beta.socket.split("/")[3]


def test_address_is_there_again_when_the_host_has_booted(host, alpha):
    address = alpha.socket
    host.check_output("systemctl stop 'fastcgi-*.socket' 'fastcgi-*.service'")
    assert not host.file(address).exists
    host.check_output(
        "rm -r /run/fastcgi && systemd-tmpfiles --create --boot /etc/tmpfiles.d/fastcgi.conf && "
        "systemctl start sockets.target"
    )
    assert host.file(address).is_socket
    assert alpha.run("echo 'run';").body == "run"


@pytest.mark.parametrize("tenant", ["alpha", "beta", "stranger", "cgi"])
@pytest.mark.parametrize("target", ["alpha", "beta", "cgi"])
def test_tenant_cannot_connect(host, site, tenant, target):
    """Whoever connects says what runs, and with which settings (SEC-02, SEC-12)."""
    answer = json.loads(host.check_output(site(target).asking("test.php", user=tenant)))
    assert answer["failure"] == "Permission denied"


def test_site_costs_nothing_before_its_first_request(observed):
    users = {line.split()[0] for line in observed("idle-processes").splitlines()}
    assert users.isdisjoint({"alpha", "beta", "changing", "leaving", "limited", "stranger", "cgi", "turning"})
    assert observed("idle-services") == ""


def test_first_request_starts_the_service(host, observed):
    for name, output in json.loads(observed("first-requests.json")).items():
        answer = json.loads(output)
        assert answer["status"] == 200
        assert json.loads(answer["body"])["uid"] == host.user(name).uid


def test_only_php_files_are_run(alpha):
    """What a visitor uploads as a picture stays a picture."""
    assert alpha.run("echo 'run';", script="picture.jpg").status == 403


def test_missing_script_is_said_to_be_missing(host, alpha):
    answer = json.loads(host.check_output(alpha.asking("no-such.php")))
    assert answer["status"] == 404

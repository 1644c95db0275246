"""What the service manager is asked for, and in which order."""

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils import services

SOCKET = "/etc/systemd/system/fastcgi-shop.socket"
DROP_IN = "/etc/systemd/system/php8.2-fpm.service.d/fastcgi.conf"
POOL = "/etc/php/8.2/fpm/pool.d/shop.conf"
SHARED = {DROP_IN: "shop", POOL: "shop"}
PER_SITE = {SOCKET: "shop"}


@pytest.fixture
def asked(monkeypatch):
    """The commands for a change from one set of files to another."""
    monkeypatch.setattr(services, "managed", lambda: True)

    def asked(before, after, reload=()):
        commands = []
        touched = before.keys() ^ after.keys()
        services.carry_out(before, after, touched, reload, run=lambda argv: commands.append(" ".join(argv)))
        return commands

    return asked


def test_daemon_that_serves_a_set_no_longer_lets_go_before_another_takes_over(asked):
    """While systemd still knows what the drop-in says of a stop."""
    assert asked(SHARED, PER_SITE) == [
        "systemctl restart php8.2-fpm.service",
        "systemctl daemon-reload",
        "systemctl start fastcgi-shop.socket",
    ]


def test_sockets_are_let_go_before_a_daemon_takes_over(asked):
    assert asked(PER_SITE, SHARED, ["php8.2-fpm"]) == [
        "systemctl stop fastcgi-shop.socket",
        "systemctl daemon-reload",
        "systemctl reload-or-restart php8.2-fpm",
        "systemctl is-active php8.2-fpm",
    ]


def test_daemon_that_fails_is_quoted(monkeypatch):
    monkeypatch.setattr(services, "managed", lambda: True)

    def run(argv):
        if argv[0] == "journalctl":
            return "address in use"
        if argv[1] == "reload-or-restart":
            raise services.ServiceError("job failed")
        return ""

    with pytest.raises(services.ServiceError, match="job failed\naddress in use"):
        services.carry_out({}, SHARED, [POOL], ["php8.2-fpm"], run=run)

"""What the service manager is asked for, and in which order, where sockets are lent to a daemon."""

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils import services

UNITS = "/etc/systemd/system"


def own(*names):
    """The files of sites that have a master each."""
    return {f"{UNITS}/fastcgi-{name}.{kind}": name for name in names for kind in ("socket", "service")}


def shared(*names, version="8.2"):
    """The files of sites that share one; the drop-in is of all, so of none."""
    daemon = f"{UNITS}/php{version}-fpm.service"
    links = {f"{daemon}.wants/fastcgi-{name}.socket": name for name in names}
    sockets = {f"{UNITS}/fastcgi-{name}.socket": name for name in names}
    return {**sockets, **links, **({f"{daemon}.d/fastcgi.conf": ""} if names else {})}


@pytest.fixture
def asked(monkeypatch):
    """The commands for a change from one set of files to another, without those that only look."""
    monkeypatch.setattr(services, "managed", lambda: True)

    def asked(before, after, touched=None, **options):
        commands = []

        def run(argv):
            commands.append(" ".join(argv))
            return "active " * len(argv) if "--property=ActiveState" in argv else "0"

        services.carry_out(before, after, touched or before.keys() | after.keys(), run=run, **options)
        return [command for command in commands if " show " not in command]

    return asked


def test_daemon_has_the_sockets_before_the_masters_leave(asked):
    """No socket is stopped or restarted."""
    assert asked(own("shop"), shared("shop")) == [
        "systemctl daemon-reload",
        "systemctl restart php8.2-fpm.service",
    ]


def test_masters_have_the_sockets_before_the_daemon_leaves(asked):
    assert asked(shared("shop"), own("shop")) == [
        "systemctl daemon-reload",
        "systemctl start fastcgi-shop.service",
        "systemctl stop --no-block fastcgi-shop.service",
        "systemctl is-enabled php8.2-fpm.service",
        "systemctl restart php8.2-fpm.service",
    ]


@pytest.mark.parametrize(
    ("path", "how"),
    [
        (f"{UNITS}/apache2.service.d/x.conf", ["daemon-reload", "restart apache2"]),
        (f"{UNITS}/other.service.d/x.conf", ["daemon-reload", "reload-or-restart apache2"]),
        ("/etc/apache2/conf-enabled/x.conf", ["reload-or-restart apache2"]),
    ],
)
def test_daemon_is_restarted_only_for_its_own_unit(asked, path, how):
    """TMO-24: a restart costs requests, and a reload leaves a daemon in the sandbox that it has."""
    commands = asked({}, {path: ""}, reload=["apache2"])
    assert commands == [*(f"systemctl {words}" for words in how), "systemctl is-active apache2"]
    assert asked({path: ""}, {}, reload=["apache2"]) == commands


def test_socket_of_a_new_site_starts_with_its_daemon(asked):
    """By itself it could not while the daemon runs."""
    after = shared("shop", "wiki")
    assert asked(shared("shop"), after, [path for path, site in after.items() if site != "shop"]) == [
        "systemctl daemon-reload",
        "systemctl restart php8.2-fpm.service",
    ]


def test_change_of_one_version_leaves_the_daemon_of_another_alone(asked):
    files = {**shared("shop"), **shared("wiki", version="8.4"), "/etc/fastcgi/fpm/8.4/wiki.conf": "wiki"}
    assert asked(files, files, ["/etc/fastcgi/fpm/8.4/wiki.conf", "/etc/logrotate.d/fastcgi"]) == [
        "systemctl restart php8.4-fpm.service"
    ]


def test_site_that_changes_its_version_is_handed_on(asked):
    before, after = shared("shop", "wiki"), {**shared("shop"), **shared("wiki", version="8.4")}
    touched = [path for path, site in {**before, **after}.items() if site == "wiki"]
    assert asked(before, after, touched) == [
        "systemctl daemon-reload",
        "systemctl restart php8.2-fpm.service php8.4-fpm.service",
    ]


def test_changed_socket_is_restarted_by_its_daemon(asked):
    files = shared("shop")
    assert asked(files, files, [f"{UNITS}/fastcgi-shop.socket"]) == [
        "systemctl daemon-reload",
        "systemctl stop fastcgi-shop.socket",
        "systemctl restart php8.2-fpm.service",
    ]


def test_last_site_that_goes_gives_the_daemon_back(asked):
    assert asked(shared("shop"), {}) == [
        "systemctl stop fastcgi-shop.socket",
        "systemctl daemon-reload",
        "systemctl is-enabled php8.2-fpm.service",
        "systemctl restart php8.2-fpm.service",
    ]


def test_nothing_is_waited_for_while_the_service_manager_waits(asked):
    commands = asked(shared("shop"), own("wiki"), wait=False)
    assert all("--no-block" in command for command in commands if "daemon-reload" not in command)


def test_daemon_that_does_not_start_is_quoted(monkeypatch):
    monkeypatch.setattr(services, "managed", lambda: True)

    def run(argv):
        if argv[0] == "journalctl":
            return "cannot allocate memory"
        if "restart" in argv:
            raise services.ServiceError("job failed")
        return ""

    files = shared("shop")
    with pytest.raises(services.ServiceError, match="job failed\ncannot allocate memory"):
        services.carry_out({}, files, files, run=run)

"""Sites go to another engine and back, and what is refused is refused before anything is touched."""

import contextlib

import pytest

STATE = (
    "find /etc/apache2 /etc/fastcgi /etc/php /etc/systemd /etc/logrotate.d /etc/tmpfiles.d ! -type d"
    " -printf '%%p %%T@ %%l\\n' | sort; systemctl show -P MainPID apache2"
)


def modules(host):
    """Those of Apache's modules that are about the MPM and PHP."""
    listed = host.check_output("ls /etc/apache2/mods-enabled").split()
    return {name[:-5] for name in listed if name.startswith(("mpm_", "php")) and name.endswith(".load")}


def traces(host):
    """What the engine has on the host, beside the snippets."""
    return host.check_output(
        "find /etc/fastcgi /etc/php /etc/logrotate.d /etc/tmpfiles.d"
        " -name apache_mpm.json -o -name 'zz-fastcgi*' -o -name 'fastcgi-itk*'"
    )


@contextlib.contextmanager
def file(host, path, text):
    host.check_output(f"mkdir -p $(dirname {path}) && printf '%%s\\n' %s > {path}", text)
    try:
        yield
    finally:
        host.check_output(f"rm {path}")


@pytest.fixture
def moved(host, converge, sites):
    """All sites with another engine, and Apache as it was before the first one had this.

    The first attempt meets a virtual host of the operator's own that needs MPM ITK too.
    """
    elsewhere = {name: {**site, "engine": "proxy_fcgi"} for name, site in sites.items()}
    own = "<VirtualHost *:80>\nServerName own.example\nAssignUserID uk uk\n</VirtualHost>"
    with file(host, "/etc/apache2/sites-enabled/own.conf", own):
        attempt = converge(elsewhere)
        attempt.modules = modules(host)
    there = converge(elsewhere)
    assert there.returncode == 0, there.stdout
    yield attempt
    assert converge(sites).returncode == 0


def test_all_sites_go_to_another_engine_and_back(host, get, converge, sites, moved):
    """What Apache had comes back with the last one; the way here again needs the operator's word."""
    assert moved.returncode != 0
    assert "Invalid command 'AssignUserID'" in moved.stdout
    assert "Everything is as it was before" in moved.stdout
    assert moved.modules == {"mpm_itk", "mpm_prefork", "php8.2"}

    assert modules(host) == {"mpm_event"}
    assert traces(host) == ""
    for name in sites:
        assert get(f"http://{name}.example/whoami.php").body == f"PHP of {name}"
        assert get(f"http://{name}.example/settings.php").json["api"] == "fpm-fcgi"

    before = host.check_output(STATE)
    refused = converge(sites)
    assert refused.returncode != 0
    assert "Apache has the MPM event, and engine mpm_itk needs prefork" in " ".join(refused.stdout.split())
    assert "mpm_itk_take_over: true" in refused.stdout
    assert host.check_output(STATE) == before
    assert get("http://uk.example/whoami.php").body == "PHP of uk"

    # one site leaves at the same time
    back = converge({"uk": sites["uk"]}, mpm_itk_take_over=True)
    assert back.returncode == 0, back.stdout
    assert modules(host) == {"mpm_itk", "mpm_prefork", "php8.2"}
    assert get("http://uk.example/whoami.php").body == "PHP of uk"
    assert get("http://uk.example/settings.php").json["api"] == "apache2handler"
    assert get("http://de.example/whoami.php").status == 404
    assert host.check_output("find /etc/apache2 -name 'de.conf'") == ""
    assert "/de/" not in host.file("/etc/logrotate.d/fastcgi-itk").content_string
    assert "-de" not in host.check_output("ls /etc/fastcgi/mod_php")
    assert host.file("/srv/de/htdocs/whoami.php").exists
    left = "find /etc/fastcgi /etc/systemd /run/fastcgi -name '[ud][ke].*' -o -name 'fastcgi-[ud][ke].*'"
    assert host.check_output(left) == ""
    assert host.check_output("systemctl --failed --plain --no-legend") == ""


def test_apache_without_the_capabilities_is_refused(host, get, converge, sites):
    """A unit that withholds one is as good as a container that does."""
    drop_in = "/etc/systemd/system/apache2.service.d/hardened.conf"
    with file(host, drop_in, "[Service]\nCapabilityBoundingSet=~CAP_SYS_NICE"):
        host.check_output("systemctl daemon-reload")
        before = host.check_output(STATE)
        run = converge(sites)
        assert run.returncode != 0
        said = " ".join(run.stdout.split())
        assert "no process of Apache can have SYS_NICE here" in said
        assert "--cap-add SYS_NICE" in said
        assert host.check_output(STATE) == before
    host.check_output("systemctl daemon-reload")
    assert get("http://uk.example/whoami.php").body == "PHP of uk"


def test_list_with_another_engine_is_refused(host, converge, sites):
    before = host.check_output(STATE)
    sites["fr"] = {"name": "fr", "server_name": "fr.example", "engine": "proxy_fcgi"}
    run = converge(sites, mpm_itk_take_over=True)
    assert run.returncode != 0
    assert "the MPM is one for the whole Apache" in " ".join(run.stdout.split())
    assert host.check_output(STATE) == before


def test_apache_does_not_take_a_snippet_without_mpm_itk(host):
    """PHP never runs as Apache's own account for want of it."""
    host.check_output("a2dismod --quiet mpm_itk")
    try:
        told = host.run("apache2ctl -t")
        assert told.rc != 0
        assert "Invalid command 'AssignUserID'" in told.stdout + told.stderr
    finally:
        host.check_output("a2enmod --quiet mpm_itk")

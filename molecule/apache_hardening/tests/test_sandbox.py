"""Apache's service: what it sees and may do, and that requests do not pay for it."""

import re
import shlex
import time
from pathlib import Path

import pytest

PLAYBOOK = Path(__file__).resolve().parents[1] / "converge.yml"
SHOP = {"name": "shop", "server_name": "shop.example", "htaccess": "trusted"}
OLD = {"name": "old", "server_name": "old.example", "engine": "fcgid"}
# PHP of a site with fcgid is in Apache's own unit, so that it sees what Apache sees.
LOOK = """<?php
$written = [];
foreach (['/usr', '/etc', '/boot', '/var/www/sites/shop', '/run', '/var/www/sites/old'] as $directory) {
    if (@file_put_contents("$directory/planted", 'x') !== false) {
        $written[] = $directory;
    }
}
$there = fn (...$paths) => array_values(array_filter($paths, 'file_exists'));
echo json_encode([
    'user' => posix_getpwuid(posix_geteuid())['name'],
    'written' => $written,
    'of the host' => $there('/proc/meminfo', '/proc/net', '/proc/kcore', '/proc/1', '/dev/mem', '/dev/kmsg'),
    'pools' => @scandir('/run/php'),
]);
"""


def put(host, site, name, content):
    path = f"/var/www/sites/{site}/{name}"
    host.check_output(f"printf %s {shlex.quote(content)} > {path} && chown {site}:www-data {path}")


def exposure(host):
    told = host.check_output("systemd-analyze security --no-pager apache2.service")
    return float(re.search(r"Overall exposure level for apache2.service: ([0-9.]+)", told)[1])


def status_of_apache(host, key):
    process = host.check_output("systemctl show -P MainPID apache2")
    return host.check_output(f"sed -n 's/^{key}:\\s*//p' /proc/{process}/status")


@pytest.fixture
def converge(play):
    """Run the role alone, for a list of sites."""

    def converge(sites, **variables):
        run = play(PLAYBOOK, {"fastcgi_sites": sites, **variables}, "--tags", "apache_hardening_configure")
        assert run.returncode == 0, run.stdout

    return converge


def test_apache_sees_little_of_the_host_and_sites_work_all_the_same(host, get):
    put(host, "old", "look.php", LOOK)
    assert get("http://old.example/look.php").json == {
        "user": "old",
        "written": ["/var/www/sites/old"],
        "of the host": [],
        "pools": False,
    }
    put(host, "shop", "who.php", "<?php echo posix_getpwuid(posix_geteuid())['name'];")
    assert get("http://shop.example/who.php").body == "shop"


def test_exposure_is_what_the_readme_says(host, converge):
    """9.2 with Debian's unit alone."""
    readme = (Path(__file__).resolve().parents[3] / "README.md").read_text()
    narrow, wide = re.search(
        r"says 9\.2 of Debian's unit, ([0-9.]+) of this one, and ([0-9.]+) where", readme
    ).groups()
    assert exposure(host) == float(wide) <= 5
    assert status_of_apache(host, "NoNewPrivs") == "0"
    converge([SHOP])
    try:
        assert exposure(host) == float(narrow)
        assert status_of_apache(host, "NoNewPrivs") == "1"
    finally:
        converge([SHOP, OLD])


def test_request_that_runs_outlives_a_restart(host):
    """TMO-24: Debian's own unit cuts it off."""
    put(host, "shop", "slow.php", "<?php sleep(3); echo 'whole';")
    ask = "curl -s --max-time 20 -H 'Host: shop.example' http://127.0.0.1/slow.php"
    host.check_output(
        f"systemd-run --quiet --unit=slow -p StandardOutput=truncate:/run/slow {ask} && sleep 0.7"
    )
    started = time.monotonic()
    host.check_output("systemctl restart apache2")
    assert 1 < time.monotonic() - started < 9
    assert host.file("/run/slow").content_string == "whole"


def test_service_that_has_nothing_to_do_restarts_at_once(host):
    started = time.monotonic()
    host.check_output("systemctl restart apache2")
    assert time.monotonic() - started < 3


def test_only_a_change_of_the_unit_restarts_apache(host, converge):
    main = host.check_output("systemctl show -P MainPID apache2")
    host.check_output("echo >> /etc/apache2/conf-available/zz-fastcgi-hardening.conf")
    converge([SHOP, OLD])
    assert host.check_output("systemctl show -P MainPID apache2") == main


# What a tenant that may rewrite can try on a host as Debian makes it, and what it would show.
HANDLERS = {
    "server-status": "Apache Server Status",
    "server-info": "Server Information",
    "balancer-manager": "Load Balancer",
    "qos-viewer": "mod_qos",
    "qos-console": "mod_qos",
}


@pytest.mark.parametrize("handler", HANDLERS)
def test_no_handler_tells_of_other_sites(host, get, handler):
    """SEC-28, I09."""
    put(host, "shop", ".htaccess", f"RewriteEngine on\nRewriteRule ^page$ - [H={handler}]\n")
    try:
        answer = get("http://shop.example/page")
        assert answer.status == 404
        assert HANDLERS[handler] not in answer.body
    finally:
        host.check_output("rm /var/www/sites/shop/.htaccess")


def test_packages_own_pool_is_out_of_reach(host, get, converge):
    """SEC-01, SEC-11: its PHP is Apache's account, which reads the files of all sites."""
    put(host, "shop", "who.php", "<?php echo posix_getpwuid(posix_geteuid())['name'];")
    host.check_output("chmod 0644 /var/www/sites/shop/who.php")
    put(
        host,
        "shop",
        ".htaccess",
        "RewriteEngine on\nRewriteRule ^who.php$ - [H=proxy:unix:/run/php/php8.2-fpm.sock|fcgi://x]\n",
    )
    try:
        assert get("http://shop.example/who.php").status == 503
        converge([SHOP, OLD], apache_hardening_hidden_paths=[])
        assert get("http://shop.example/who.php").body == "www-data"
        converge([SHOP, OLD])
        assert get("http://shop.example/who.php").status == 503
    finally:
        host.check_output("rm /var/www/sites/shop/.htaccess")


@pytest.mark.parametrize("directive", ["FcgidAccessChecker /usr/bin/id", "FcgidWrapper /usr/bin/id .html"])
def test_no_program_runs_as_apache(host, get, directive):
    """The virtual host of a site with a socket names no account for what mod_fcgid starts (SUX-03)."""
    put(host, "shop", ".htaccess", directive)
    put(host, "shop", "page.html", "page")
    try:
        assert get("http://shop.example/page.html").status == 500
    finally:
        host.check_output("rm /var/www/sites/shop/.htaccess")
    assert get("http://shop.example/page.html").body == "page"

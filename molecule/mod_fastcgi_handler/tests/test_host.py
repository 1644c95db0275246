"""What is on the host for mod_fastcgi_handler, whether Apache has that or not."""

import re


def test_each_site_has_a_socket_of_its_own(host):
    units = host.check_output(
        "systemctl list-units --plain --no-legend 'fastcgi-*.socket' | cut -d' ' -f1"
    ).split()
    assert units == [f"fastcgi-{site}.socket" for site in ("de", "fr", "it", "uk")]
    for site in ("de", "fr", "it", "uk"):
        socket = host.file(f"/run/fastcgi/bind/{site}.sock")
        assert (socket.user, socket.group, socket.mode) == ("root", "www-data", 0o660)
    assert not host.file("/var/www/fastcgi").exists


def test_without_the_module_nothing_is_touched_and_the_way_out_is_named(host, converge, sites):
    """A site that left the list is not taken away either."""
    look = "find /etc /var/lib/config_set /var/www -printf '%p %y %l %u:%g %m %T@\\n' | sort"
    before = host.check_output(look)
    del sites["it"]
    run = converge(sites, apache_fastcgi_mod_fastcgi_handler="")
    words = re.sub(r"\s+", " ", run.stdout)
    assert run.returncode != 0
    for part in (
        "uk, de, fr ask for the engine mod_fastcgi_handler",
        "engine: proxy_fcgi",
        "Nothing was touched",
    ):
        assert part in words
    assert host.check_output(look) == before

"""Names of any length are served or refused; no process dies of them."""

import json

import pytest

testinfra_hosts = ["hostile-debian12"]
FINE = {"200"}
REFUSED = {"400", "403", "404", "414", "431"}


@pytest.fixture(scope="module")
def seen(host):
    """What became of the requests, by kind."""
    host.check_output("echo '<?php echo 1;' | runuser -u mallory -- tee /var/www/sites/mallory/index.php")
    command = "runuser -u mallory -- python3 /opt/long.py /var/www/sites/mallory mallory.test"
    return {kind: set(found) for kind, found in json.loads(host.check_output(command)).items()}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("path info", FINE),
        ("query", FINE),
        ("longest name", FINE),
        ("deep path", FINE),
        ("header", FINE),
        ("many headers", FINE),
        ("too long", REFUSED),
        ("missing", REFUSED),
    ],
)
def test_is_served_or_refused(seen, kind, expected):
    """M03."""
    assert seen[kind] <= expected


def test_no_process_died(host, seen):
    """Of these names, nor of any attack before."""
    assert seen
    died = "journalctl --no-pager -u fastcgi-mallory -u apache2 | grep -c -e 'on signal' -e 'signal Segm'"
    assert host.run(died).stdout.strip() == "0"
    dead = host.run("grep -c 'AH00052\\|AH00051' /var/log/apache2/error.log").stdout.strip()
    assert dead == host.file("/root/dead-before").content_string.strip()

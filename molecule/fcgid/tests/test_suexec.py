"""Without suEXEC, or a wrapper, PHP neither runs as Apache nor shows its source (SUX-03, SUX-04)."""

import contextlib

WRAPPER = "/var/www/wrapper/uk.uk/uk"


def refused(host):
    """Apache's own words on its configuration, which it refuses."""
    told = host.run("apache2ctl -t")
    assert told.rc != 0
    return told.stdout + told.stderr


def test_apache_does_not_take_a_snippet_without_the_module(host):
    host.check_output("a2dismod --quiet suexec")
    try:
        assert "Invalid command 'SuexecUserGroup'" in refused(host)
    finally:
        host.check_output("a2enmod --quiet suexec")


def test_apache_does_not_take_a_snippet_without_the_program(host):
    host.check_output("chmod 0755 /usr/lib/apache2/suexec-pristine")
    try:
        assert "suEXEC is disabled" in refused(host)
    finally:
        host.check_output("chmod 4754 /usr/lib/apache2/suexec-pristine")


@contextlib.contextmanager
def opened(host):
    """As on a file system that has no immutable files."""
    host.check_output(f"chattr -i $(dirname {WRAPPER}) {WRAPPER}")
    try:
        yield
    finally:
        host.check_output(f"chattr +i $(dirname {WRAPPER}) {WRAPPER}")


def test_a_tenant_who_takes_its_wrapper_away_hurts_nobody_else(host, get):
    with opened(host):
        host.check_output("runuser -u uk -- mv %s %s", WRAPPER, f"{WRAPPER}.away")
        try:
            # a reload, a start after a boot
            for verb in ("reload", "restart"):
                host.check_output(f"systemctl {verb} apache2")
                answer = get("http://uk.example/whoami.php")
                assert answer.status == 403
                assert "<?php" not in answer.body
                assert get("http://de.example/whoami.php").body == "PHP of de"
        finally:
            host.check_output("runuser -u uk -- mv %s %s", f"{WRAPPER}.away", WRAPPER)
    host.check_output("systemctl reload apache2")
    assert get("http://uk.example/whoami.php").body == "PHP of uk"


def test_a_wrapper_of_somebody_else_is_not_started(host, get, converge, sites):
    """suEXEC cannot so much as look into the directory as somebody else."""
    sites["uk"]["extra_directives"] = [
        *sites["uk"]["extra_directives"],
        '<Directory "/var/www/sites/uk">',
        'FcgidWrapper "/var/www/wrapper/de.de/de" .php',
        "</Directory>",
    ]
    assert converge(sites).returncode == 0
    try:
        assert get("http://uk.example/whoami.php").status == 500
        log = host.file("/var/log/apache2/suexec.log").content_string
        assert "cannot open current working directory" in log.splitlines()[-1]
    finally:
        del sites["uk"]["extra_directives"][1:]
        assert converge(sites).returncode == 0
    assert get("http://uk.example/whoami.php").body == "PHP of uk"

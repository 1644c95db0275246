"""A wrapper that suEXEC starts, with settings that its tenant cannot change."""

import pytest

WRAPPERS = "/var/www/wrapper"


@pytest.mark.parametrize("site", ["uk", "de"])
def test_suexec_starts_php_as_the_site(called, site):
    seen = called(site, f"{WRAPPERS}/{site}.{site}/{site}", site)
    assert (seen["user"], seen["group"], seen["groups"]) == (site, site, [])


def test_php_has_the_settings_of_its_site(called):
    seen = called("uk", f"{WRAPPERS}/uk.uk/uk", "uk")
    assert (seen["memory_limit"], seen["locked"]) == ("99M", True)
    assert called("de", f"{WRAPPERS}/de.de/de", "de")["memory_limit"] == "128M"


def test_php_has_the_environment_of_its_wrapper_alone(called):
    """SUX-12."""
    environment = called("uk", f"{WRAPPERS}/uk.uk/uk", "uk")["environment"]
    assert environment["PATH"] == "/usr/local/bin:/usr/bin:/bin"
    assert environment["TMPDIR"] == "/var/lib/fastcgi/uk/tmp"
    assert (environment["PHP_FCGI_CHILDREN"], environment["PHP_FCGI_MAX_REQUESTS"]) == ("0", "0")
    assert not {"LD_LIBRARY_PATH", "PHPRC"} & set(environment)


@pytest.mark.parametrize(
    "deed",
    [
        "echo >> {wrapper}",
        "rm -f {wrapper}",
        "mv {wrapper} {wrapper}.away",
        "ln -s /bin/sh {directory}/sh",
        "chmod 777 {wrapper}",
        "chmod 777 {directory}",
        "mv {directory} {directory}.away",
    ],
)
def test_a_tenant_cannot_change_its_wrapper_although_it_owns_it(as_user, deed):
    """SUX-02, SUX-10."""
    directory = f"{WRAPPERS}/uk.uk"
    done = as_user("uk", deed.format(directory=directory, wrapper=f"{directory}/uk"))
    assert done.rc != 0
    assert "not permitted" in done.stderr or "denied" in done.stderr or "nonexistent" in done.stderr


def test_a_tenant_reads_its_settings_and_cannot_change_them(as_user):
    ini = "/etc/fastcgi/php/uk/php.ini"
    assert as_user("uk", f"cat {ini}").rc == 0
    for deed in (f"echo >> {ini}", f"rm -f {ini}", "touch /etc/fastcgi/php/uk/more.ini"):
        assert as_user("uk", deed).rc != 0


def test_other_tenants_read_neither(as_user):
    assert as_user("de", "cat /etc/fastcgi/php/uk/php.ini").rc != 0
    assert as_user("de", f"cat {WRAPPERS}/uk.uk/uk").rc != 0


def test_a_site_with_another_engine_has_none(host):
    assert host.check_output("find /var/www/wrapper /etc/fastcgi/php -name '*fr*'") == ""


def test_php_of_fpm_is_not_installed_for_it(host):
    assert not host.package("php8.2-fpm").is_installed


def test_logs_are_rotated_as_the_sites_user(host):
    log = "/var/log/fastcgi/uk/php.log"
    host.check_output(f"runuser -u uk -- sh -c 'head -c 1000 /dev/zero > {log}'")
    host.check_output("logrotate --force /etc/logrotate.d/fastcgi-wrapper")
    assert host.file(f"{log}.1").user == "uk"

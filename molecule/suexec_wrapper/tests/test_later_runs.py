"""Changes, refusals and removals; each test leaves the host as converge did."""

import pytest

UK = "/var/www/wrapper/uk.uk"


def test_a_second_run_changes_nothing(converge, sites):
    assert "changed=0" in converge(sites).stdout


def test_a_change_goes_through_and_the_wrapper_stays_immutable(converge, sites, called, immutable):
    sites["uk"]["php_admin_value"]["memory_limit"] = "88M"
    assert converge(sites).returncode == 0
    assert called("uk", f"{UK}/uk", "uk")["memory_limit"] == "88M"
    sites["uk"]["php_admin_value"]["memory_limit"] = "99M"
    assert converge(sites).returncode == 0
    assert immutable(UK)
    assert immutable(f"{UK}/uk")


@pytest.mark.parametrize("path", [UK, f"{UK}/uk"])
def test_check_mode_tells_the_truth_about_the_bit(host, converge, sites, immutable, path):
    host.check_output("chattr -i %s", path)
    told = converge(sites, "--check", "--diff").stdout
    assert f"--- before: {path}" in told
    assert "mode 07" in told
    assert ", immutable" in told
    assert not immutable(path)
    assert "changed=1" in converge(sites).stdout
    assert immutable(path)
    assert "changed=0" in converge(sites, "--check").stdout


def test_the_bit_can_be_done_without(host, converge, sites, immutable, as_user):
    assert converge(sites, suexec_wrapper_immutable=False).returncode == 0
    assert not immutable(UK)
    assert not immutable(f"{UK}/uk")
    assert as_user("uk", f"echo '# mine' >> {UK}/uk").rc == 0
    assert converge(sites).returncode == 0
    assert "# mine" not in host.file(f"{UK}/uk").content_string
    assert immutable(f"{UK}/uk")


@pytest.mark.parametrize(
    "point", ["begun", "validated", "swapped one", "swapped all", "locked", "followed", "done"]
)
def test_a_killed_run_leaves_every_wrapper_immutable(host, converge, sites, called, immutable, point):
    """Also those of which the change was undone, by the service that runs before daemons start."""
    host.check_output(f"chattr -i {UK} {UK}/uk && echo '# stale' >> {UK}/uk && chattr +i {UK} {UK}/uk")
    without = {name: site for name, site in sites.items() if name != "de"}
    assert converge(without, die_at=f"suexec_wrapper: {point}").returncode != 0
    host.check_output("systemctl start config-set-recovery")
    finished = point == "done"
    assert ("# stale" in host.file(f"{UK}/uk").content_string) != finished
    assert host.file("/var/www/wrapper/de.de/de").exists != finished
    paths = [UK, f"{UK}/uk"] + ([] if finished else ["/var/www/wrapper/de.de", "/var/www/wrapper/de.de/de"])
    assert [path for path in paths if not immutable(path)] == []
    assert called("uk", f"{UK}/uk", "uk")["user"] == "uk"
    done = converge(sites)
    assert done.returncode == 0, done.stdout
    assert host.check_output("find /var/lib/config_set -path '*/transaction/*'") == ""


def gone(host):
    """Whether nothing is left of the site de."""
    return not (host.file("/var/www/wrapper/de.de").exists or host.file("/etc/fastcgi/php/de").exists)


def test_a_site_that_leaves_leaves_nothing_behind(host, converge, sites):
    without = {name: site for name, site in sites.items() if name != "de"}
    assert converge(without).returncode == 0
    assert gone(host)
    assert converge(sites).returncode == 0
    assert host.file("/var/www/wrapper/de.de/de").user == "de"


def test_a_site_that_has_another_engine_now_keeps_its_wrapper_until_it_is_pruned(host, converge, sites):
    """Apache still uses it."""
    other = {**sites, "de": {**sites["de"], "engine": "proxy_fcgi"}}
    assert converge(other).returncode == 0
    assert host.file("/var/www/wrapper/de.de/de").exists
    assert converge(other, "--tags", "all,prune").returncode == 0
    assert gone(host)
    assert converge(sites).returncode == 0


def test_what_suexec_would_refuse_is_told_before_apache_sees_it(host, converge, sites):
    """The run fails, with suEXEC's own words and what mends it."""
    host.check_output("chmod 0755 /usr/lib/apache2/suexec-pristine")
    try:
        run = converge(sites)
        assert run.returncode != 0
        assert "suEXEC will refuse" in run.stdout
        assert "mode 4754" in run.stdout
    finally:
        host.check_output("chmod 4754 /usr/lib/apache2/suexec-pristine")
    assert converge(sites).returncode == 0


def test_wrappers_elsewhere_have_the_suexec_that_can_be_told(host, converge, sites, called, as_user):
    """suexec-custom, with the directory of the wrappers for its document root."""
    elsewhere = {"wrapper_root": "/srv/wrapper"}
    done = converge(sites, fastcgi_site_defaults=elsewhere)
    assert done.returncode == 0, done.stdout
    try:
        assert called("uk", "/srv/wrapper/uk.uk/uk", "uk")["user"] == "uk"
        assert "changed=0" in converge(sites, fastcgi_site_defaults=elsewhere).stdout
        # on the way back suEXEC would refuse what it was told not to run
        run = converge(sites)
        assert run.returncode != 0
        assert "command not in docroot" in run.stdout
    finally:
        host.check_output("update-alternatives --set suexec /usr/lib/apache2/suexec-pristine")
    assert converge(sites, "--tags", "all,prune").returncode == 0
    assert not host.file("/srv/wrapper").exists
    assert called("uk", f"{UK}/uk", "uk")["user"] == "uk"

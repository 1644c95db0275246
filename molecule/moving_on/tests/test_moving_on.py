"""What docs/moving-on.md tells an operator to do, done one after the other on a host set up by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/moving-on.md").read_text()
CHECK, LIST, BESIDE = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SITES = {"uk": "some-host.example", "de": "other-host.example"}
BY_HAND = (
    "/etc/apache2/sites-available/uk.conf",
    "/etc/apache2/sites-available/de.conf",
    "/etc/php/8.2/fpm/pool.d/de.conf",
    "/var/www/wrapper/uk/fcgid",
)
OLD_LINES = {
    "uk": r" +(?:SuexecUserGroup|AddHandler|Fcgid|Options).*\n",
    "de": r" +(?:AddHandler|ProxyTimeout).*\n",
}
"""What each virtual host says of PHP, and the snippet says in its place."""


@pytest.fixture
def run(play, tmp_path):
    """Run a play of the page, or a playbook of the collection, with the list of the page."""

    def run(playbook: str | Path, *arguments: str):
        if not isinstance(playbook, Path):
            file = tmp_path / "play.yml"
            file.write_text(playbook.replace("hosts: web", "hosts: all"))
            playbook = file
        return play(playbook, {**yaml.safe_load(LIST), "ansible_become": False}, *arguments)

    return run


def asked(get, name):
    """Who answers for a site, and with what settings."""
    return get(f"http://{SITES[name]}/").json


def served_by_hand(get, name):
    said = asked(get, name)
    assert (said["user"], said["script"]) == (name, f"/var/www/sites/{name}/index.php")
    return said["unit"] == {"uk": "apache2.service", "de": "php8.2-fpm.service"}[name] and (
        said["max_execution_time"] == {"uk": "30", "de": "300"}[name]
    )


def served_by_the_collection(get, name):
    said = asked(get, name)
    assert (said["user"], said["script"]) == (name, f"/var/www/sites/{name}/index.php")
    assert said["memory_limit"] == {"uk": "128M", "de": "256M"}[name]
    assert said["post_max_size"] == {"uk": "32M", "de": "8M"}[name]
    return said["unit"] == {"uk": "apache2.service", "de": "fastcgi-de.service"}[name] and (
        said["max_execution_time"] == "300"
    )


def checksums(host):
    return host.check_output(f"sha256sum {' '.join(BY_HAND)}")


def switch(host, name, vhost):
    """Give a virtual host another text, as an operator does."""
    host.check_output("printf %%s %s > %s", vhost, f"/etc/apache2/sites-available/{name}.conf")
    host.check_output("apache2ctl configtest && systemctl reload apache2")


def test_the_host_works_as_it_is(get):
    assert all(served_by_hand(get, name) for name in SITES)


def test_the_checks_say_what_is_wrong_with_it(host, run, tmp_path):
    before = checksums(host)
    report = run(ROOT / "playbooks/timeouts.yml", "-e", f"timeouts_report={tmp_path}/timeouts.html")
    assert report.returncode == 0, report.stdout
    assert re.search(r"TMO-02.*other-host\.example|other-host\.example.*TMO-02", report.stdout, re.DOTALL)
    check = run(CHECK)
    assert check.returncode == 0, check.stdout
    assert checksums(host) == before


def test_the_sites_are_made_beside_the_old_ones(host, get, run):
    """The virtual hosts know nothing of it yet."""
    before = checksums(host)
    done = run(BESIDE)
    assert done.returncode == 0, done.stdout
    assert all(served_by_hand(get, name) for name in SITES)
    assert checksums(host) == before
    again = run(BESIDE)
    assert "changed=0" in again.stdout, again.stdout


@pytest.mark.parametrize("name", SITES)
def test_a_virtual_host_goes_over_and_back(host, get, name):
    old = host.file(f"/etc/apache2/sites-available/{name}.conf").content_string
    new = re.sub(OLD_LINES[name], "", old).replace("</Virt", f"    Include fastcgi/{name}.conf\n</Virt")
    switch(host, name, new)
    assert served_by_the_collection(get, name)
    switch(host, name, old)
    assert served_by_hand(get, name)
    switch(host, name, new)
    assert served_by_the_collection(get, name)


def test_what_was_there_can_go(host, get):
    host.check_output("rm /etc/php/8.2/fpm/pool.d/de.conf && systemctl reload php8.2-fpm")
    host.check_output("rm -r /var/www/wrapper/uk")
    host.check_output("systemctl restart apache2")
    assert all(served_by_the_collection(get, name) for name in SITES)


def test_a_virtual_host_made_by_hand_is_in_nobodys_way(host, get, run):
    """The error names it, and nothing has happened to it. Moved aside, it makes room for the collection's."""
    before = host.check_output("cat /etc/apache2/sites-available/*.conf")
    refused = run(ROOT / "playbooks/site.yml")
    assert refused.returncode != 0
    assert "/etc/apache2/sites-available/uk.conf" in refused.stdout
    assert host.check_output("cat /etc/apache2/sites-available/*.conf") == before
    for name in SITES:
        host.check_output(
            f"cd /etc/apache2/sites-available && a2dissite --quiet {name} && mv {name}.conf zz-{name}.conf"
            f" && a2ensite --quiet zz-{name}"
        )
    done = run(ROOT / "playbooks/site.yml")
    assert done.returncode == 0, done.stdout
    host.check_output("a2dissite --quiet zz-uk zz-de && systemctl reload apache2")
    assert all(served_by_the_collection(get, name) for name in SITES)


def test_the_clocks_are_in_order_now(run, tmp_path):
    arguments = (
        "-e",
        f"timeouts_report={tmp_path}/timeouts.html",
        "-e",
        "{timeouts_fail_on: [critical, high]}",
    )
    report = run(ROOT / "playbooks/timeouts.yml", *arguments)
    assert report.returncode == 0, report.stdout

"""What side_effect did to the host: bad changes not at all, good ones without a request lost."""

import json

import pytest

OBSERVATIONS = "/root/observations"
STAYED = ["shop.example", "victim.example", "strict.example", "both.example"]


def noted(host, name):
    return host.file(f"{OBSERVATIONS}/{name}").content_string


def run(host, label):
    return json.loads(noted(host, f"{label}.json"))


@pytest.fixture(scope="module")
def answers(host):
    """What clients got while sites were added, changed and removed."""
    return [json.loads(line) for line in noted(host, "answers").splitlines()]


def test_a_bad_directive_fails_the_run_in_apaches_own_words(host):
    outcome = run(host, "bad-directive")
    assert outcome["rc"] != 0
    assert "Invalid command 'NoSuchDirective'" in outcome["output"]
    assert "of site shop" in outcome["output"]
    assert "/etc/apache2/sites-enabled/shop.conf" in outcome["output"]


def test_a_bad_directive_changes_no_file(host):
    """Content, owner, mode and time of every file, link and directory."""
    before, after = noted(host, "before").splitlines(), noted(host, "after").splitlines()
    assert len(before) > 100
    assert after == before


def test_a_virtual_host_made_by_hand_is_named_and_kept(host):
    outcome = run(host, "hand-made")
    assert outcome["rc"] != 0
    assert "/etc/apache2/sites-available/byhand.conf" in outcome["output"]
    assert "site byhand" in outcome["output"]
    file = host.file("/etc/apache2/sites-available/byhand.conf")
    assert (file.content_string, file.mode) == ("# made by hand\n", 0o640)
    assert not host.file("/etc/apache2/sites-enabled/byhand.conf").exists


def test_the_good_change_goes_through(host):
    outcome = run(host, "changed")
    assert outcome["rc"] == 0, outcome["output"]


@pytest.mark.parametrize("name", STAYED)
def test_no_request_is_lost_meanwhile(answers, name):
    """Not of neighbours, and not of the site that changes (R01)."""
    got = [answer for answer in answers if answer["host"] == name]
    site = name.split(".")[0]
    assert len(got) > 50
    assert [answer for answer in got if (answer["status"], answer["body"]) != (200, f"PHP of {site}")] == []


def test_the_source_of_a_site_that_leaves_is_never_shown(answers):
    """M09: first PHP answers, then nothing does."""
    got = [answer for answer in answers if answer["host"] == "leaving.example"]
    assert got[0]["body"] == "PHP of leaving"
    assert got[-1]["status"] == 404
    assert {answer["status"] for answer in got} == {200, 404}
    assert [answer for answer in got if "<?" in answer["body"] or "posix" in answer["body"]] == []


@pytest.mark.parametrize(
    "path",
    [
        "/etc/apache2/sites-available/leaving.conf",
        "/etc/apache2/sites-enabled/leaving.conf",
        "/etc/apache2/fastcgi/leaving.conf",
        "/etc/fastcgi/fpm/8.2/leaving.conf",
        "/etc/systemd/system/fastcgi-leaving.service",
        "/etc/systemd/system/fastcgi-leaving.socket",
        "/etc/systemd/system/sockets.target.wants/fastcgi-leaving.socket",
        "/run/fastcgi/bind/leaving.sock",
        "/run/fastcgi/way/leaving/leaving.sock",
    ],
)
def test_nothing_points_at_a_site_that_left(host, path):
    leftover = host.file(path)
    assert not leftover.exists
    assert not leftover.is_symlink


def test_nothing_runs_for_a_site_that_left(host):
    assert host.check_output("systemctl list-units --all --plain --no-legend 'fastcgi-leaving*'") == ""
    assert host.run("pgrep --uid leaving").stdout == ""


def test_the_files_of_a_site_that_left_are_kept(host):
    kept = host.file("/var/www/sites/leaving/whoami.php")
    assert (kept.user, "posix_geteuid" in kept.content_string) == ("leaving", True)


def test_the_new_site_serves(host, get):
    host.check_output("cp /var/www/sites/shop/whoami.php /var/www/sites/newcomer/")
    host.check_output("chown newcomer:www-data /var/www/sites/newcomer/whoami.php")
    assert get("http://newcomer.example/whoami.php").body == "PHP of newcomer"


def test_the_changed_site_has_the_change(host, get):
    host.check_output("echo '<?php echo ini_get(\"memory_limit\");' > /var/www/sites/shop/limit.php")
    host.check_output("chown shop:www-data /var/www/sites/shop/limit.php")
    assert get("http://shop.example/limit.php").body == "200M"


def test_no_unit_has_failed(host):
    assert host.check_output("systemctl --failed --plain --no-legend") == ""

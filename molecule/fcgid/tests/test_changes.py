"""Sites in use change their engine, their account or their settings, and some leave."""

ALL = ("uk.example", "de.example", "fr.example")


def traces_of_fpm(host, name):
    """Files, units and sockets of a site behind a socket."""
    files = host.check_output(
        f"find /etc/fastcgi/fpm /etc/systemd /run/fastcgi -name '{name}.conf' -o -name 'fastcgi-{name}.*'"
        f" -o -name '{name}.sock'"
    )
    return files + host.check_output(f"systemctl list-units --all --plain --no-legend 'fastcgi-{name}.*'")


def traces_of_fcgid(host, name):
    """Files of a site that Apache starts PHP for."""
    return host.check_output(f"find /var/www/wrapper /etc/fastcgi/php -type f -path '*/{name}*'")


def test_a_site_changes_its_engine_and_back(host, get, converge, sites, asking):
    """No request shows source or runs as somebody else meanwhile, and nothing of the old engine stays."""
    there = {**sites, "fr": {**sites["fr"], "engine": "fcgid"}}
    there["uk"] = {**sites["uk"], "engine": "proxy_fcgi"}
    for wanted, fcgid, socket in ((there, "fr", "uk"), (sites, "uk", "fr")):
        with asking(*ALL) as polled:
            run = converge(wanted)
            assert run.returncode == 0, run.stdout
        for name in ("uk", "de", "fr"):
            answers = polled.answers(f"{name}.example")
            # a reload may cut off what mod_fcgid hands to a process at that moment (REL-06)
            answered = [answer for answer in answers if answer["status"] not in (0, 500, 503)]
            assert len(answers) - len(answered) <= 2
            assert len(answered) > 5
            assert {(a["status"], a["body"]) for a in answered} == {(200, f"PHP of {name}")}
        assert get(f"http://{fcgid}.example/settings.php").json["api"] == "cgi-fcgi"
        assert get(f"http://{socket}.example/settings.php").json["api"] == "fpm-fcgi"
        assert traces_of_fpm(host, fcgid) == ""
        assert traces_of_fcgid(host, socket) == ""
        assert host.run(f"pgrep --uid {socket} php-cgi").stdout == ""
        assert host.run(f"pgrep --uid {fcgid} php-fpm").stdout == ""
        assert host.check_output("systemctl --failed --plain --no-legend") == ""
        again = converge(wanted)
        assert "changed=0" in again.stdout, again.stdout


def test_settings_of_php_are_followed(get, converge, sites):
    """SUX-11: processes that run would go on with the old ones."""
    assert get("http://uk.example/settings.php").json["memory_limit"] == "128M"
    sites["uk"]["php_admin_value"]["memory_limit"] = "200M"
    assert converge(sites).returncode == 0
    assert get("http://uk.example/settings.php").json["memory_limit"] == "200M"
    del sites["uk"]["php_admin_value"]["memory_limit"]
    assert converge(sites).returncode == 0
    assert get("http://uk.example/settings.php").json["memory_limit"] == "128M"


def test_an_account_changes_and_suexec_refuses_nothing(host, get, converge, sites):
    """There are two wrappers meanwhile, each its account's. The site's files are the operator's to move."""
    log = host.file("/var/log/apache2/suexec.log")
    before = log.content_string
    sites["uk"]["user"] = "uk-two"
    try:
        run = converge(sites)
        assert run.returncode == 0, run.stdout
        assert get("http://uk.example/whoami.php").body == "PHP of uk-two"
        wrappers = host.check_output("find /var/www/wrapper -type f -path '*uk*'")
        assert wrappers == "/var/www/wrapper/uk-two.uk-two/uk"
    finally:
        sites["uk"]["user"] = "uk"
        assert converge(sites).returncode == 0
    assert get("http://uk.example/whoami.php").body == "PHP of uk"
    said = log.content_string[len(before) :].splitlines()
    assert [line for line in said if ": uid: " not in line] == []


# in the order in which a run comes to them
KILLS = [
    *(("apache_vhost", point) for point in ("swapped one", "followed")),
    *(("apache_fastcgi", point) for point in ("swapped one", "swapped all", "followed")),
    *(("suexec_wrapper", point) for point in ("swapped one", "locked", "done")),
]


def test_apache_starts_wherever_the_removal_of_a_site_was_killed(host, get, converge, sites):
    """SUX-04. Each run is killed a step later, in what the one before has left; then one finishes it."""
    without = {name: site for name, site in sites.items() if name != "de"}
    for role, point in KILLS:
        killed = converge(without, die_at=f"{role}: {point}")
        assert killed.returncode != 0, killed.stdout
        host.check_output("systemctl restart apache2")  # as after a boot
        assert get("http://uk.example/whoami.php").body == "PHP of uk", point
        answer = get("http://de.example/whoami.php")
        assert (answer.status, answer.body) == (200, "PHP of de") or answer.status == 404, point
    done = converge(without)
    assert done.returncode == 0, done.stdout
    assert get("http://de.example/whoami.php").status == 404
    assert traces_of_fcgid(host, "de") == ""
    assert host.check_output("find /etc/apache2 -name 'de.conf'") == ""
    assert host.check_output("find /var/lib/config_set -path '*/transaction/*'") == ""
    done = converge(sites)
    assert done.returncode == 0, done.stdout
    assert get("http://de.example/whoami.php").body == "PHP of de"


def test_mod_proxy_fcgi_goes_where_nobody_uses_it(host, get, converge, sites):
    """SEC-04: with it a tenant's .htaccess could reach the sockets of mod_fcgid."""
    enabled = host.file("/etc/apache2/mods-enabled/proxy_fcgi.load")
    own = "/etc/apache2/sites-enabled/own.conf"
    host.check_output(f'echo \'ProxyPass "/own" "fcgi://localhost:9000/"\' > {own}')
    sites["fr"]["engine"] = "fcgid"
    assert converge(sites).returncode == 0
    assert enabled.is_symlink
    host.check_output(f"rm {own}")
    assert converge(sites).returncode == 0
    assert not enabled.exists
    assert get("http://fr.example/whoami.php").body == "PHP of fr"
    del sites["fr"]["engine"]
    assert converge(sites).returncode == 0
    assert enabled.is_symlink
    assert get("http://fr.example/whoami.php").body == "PHP of fr"


def test_the_last_site_of_fcgid_leaves_nothing_behind(host, get, converge, sites):
    """The plan of processes goes too; then all of it comes back."""
    done = converge({"fr": sites["fr"]})
    assert done.returncode == 0, done.stdout
    assert not host.file("/etc/apache2/conf-enabled/fastcgi-fcgid.conf").is_symlink
    assert "qos_module" not in host.check_output("apache2ctl -M")
    assert not host.file("/var/www/wrapper").exists
    assert not host.file("/etc/fastcgi/php").exists
    assert get("http://fr.example/whoami.php").body == "PHP of fr"
    assert converge(sites).returncode == 0
    assert get("http://uk.example/whoami.php").body == "PHP of uk"

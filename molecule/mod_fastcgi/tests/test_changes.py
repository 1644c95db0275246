"""Sites in use change their engine or the way to their scripts, Apache is reloaded, and some leave."""

import base64
import shlex

import pytest

pytestmark = pytest.mark.takes_module("mod_fastcgi", "requests through mod_fastcgi")

ALL = ("uk.example", "de.example", "fr.example", "it.example")


def traces(host, *names):
    """What there is on the host for mod_fastcgi, as far as it is of one of these sites."""
    # some of the directories are there only as long as something is in them
    found = host.run(
        "find /var/www/fastcgi /var/www/wrapper /etc/fastcgi/php /etc/apache2/conf-available"
        " /etc/apache2/conf-enabled ! -type d"
    ).stdout.split()
    found = [path for path in found if "mod_fastcgi" in path or any(f"/{name}" in path for name in names)]
    mentioned = host.run("cat /etc/apache2/conf-enabled/fastcgi-mod_fastcgi.conf").stdout
    return found, [name for name in names if f"# Site {name}" in mentioned]


def test_sites_change_their_engine_and_back(host, get, converge, sites, asking):
    """No request shows source or runs as somebody else meanwhile, and nothing of the old engine stays."""
    there = {
        name: {k: v for k, v in site.items() if k not in ("engine", "process_manager", "fastcgi_mapping")}
        for name, site in sites.items()
    }
    # one goes on to be started by Apache: with the last of these its sandbox would change, by a restart
    there["fr"].update(engine="fcgid", timeout={"max_execution_time": 2})
    for wanted in (there, sites):
        with asking(*ALL) as polled:
            run = converge(wanted)
            assert run.returncode == 0, run.stdout
        for name in sites:
            answers = polled.answers(f"{name}.example")
            assert len(answers) > 5
            # a reload ends what mod_fastcgi has started, and cuts off what it does
            lost = [answer for answer in answers if answer["status"] in (0, 500, 503)]
            assert len(lost) <= (20 if name == "fr" else 0), lost
            answered = [answer for answer in answers if answer not in lost]
            assert {(a["status"], a["body"]) for a in answered} == {(200, f"PHP of {name}")}
        units = host.check_output("systemctl list-units --plain --no-legend 'fastcgi-*.socket'").splitlines()
        assert len(units) == 3
        if wanted is there:
            assert traces(host, "uk", "de", "it", "fr/fr.fastcgi") == ([], [])
        assert host.check_output("systemctl --failed --plain --no-legend") == ""
        again = converge(wanted)
        assert "changed=0" in again.stdout, again.stdout


@pytest.mark.parametrize("name", ["uk", "de", "fr"])
def test_one_site_changes_its_engine_while_its_neighbours_keep_theirs(host, converge, sites, asking, name):
    """What mod_fastcgi knows of it goes no sooner than its snippet, and comes no later."""
    kept = ("name", "server_name", "document_root", "tls", "extra_directives")
    there = {**sites, name: {key: sites[name][key] for key in kept if key in sites[name]}}
    there[name]["engine"] = "fcgid"
    for wanted in (there, sites):
        with asking(*ALL) as polled:
            run = converge(wanted)
            assert run.returncode == 0, run.stdout
        for each in sites:
            answers = polled.answers(f"{each}.example")
            # a reload may cut off what Apache's own PHP does at that moment
            lost = [answer for answer in answers if answer["status"] in (0, 500, 503)]
            assert len(lost) <= (20 if each in (name, "fr") else 0), lost
            answered = [answer for answer in answers if answer not in lost]
            assert {(a["status"], a["body"]) for a in answered} == {(200, f"PHP of {each}")}
        assert traces(host, name)[1] == ([] if wanted is there else [name])


def test_the_way_to_a_sites_scripts_changes_without_a_moment_of_neither(host, get, converge, sites, asking):
    there = {**sites, "uk": {**sites["uk"], "fastcgi_mapping": "virtual_directory"}}
    there["de"] = {**sites["de"], "fastcgi_mapping": "alias"}
    for wanted, link in ((there, "uk"), (sites, "de")):
        with asking("uk.example", "de.example") as polled:
            run = converge(wanted)
            assert run.returncode == 0, run.stdout
        for name in ("uk", "de"):
            answers = polled.answers(f"{name}.example")
            assert {(a["status"], a["body"]) for a in answers} == {(200, f"PHP of {name}")}
            server = get(f"http://{name}.example/echo.php/more").json["server"]
            assert (server["SCRIPT_NAME"], server["PATH_INFO"]) == ("/echo.php", "/more")
        assert host.check_output("ls /var/www/fastcgi") == link


def test_a_reload_of_apache_costs_sites_behind_sockets_nothing(host, asking):
    with asking(*ALL) as polled:
        for _ in range(2):
            host.check_output("sleep 1; systemctl reload apache2; sleep 3")
    for name in ("uk", "de", "it"):
        answers = polled.answers(f"{name}.example")
        assert {(a["status"], a["body"]) for a in answers} == {(200, f"PHP of {name}")}
    # PHP that mod_fastcgi starts is started anew
    answers = polled.answers("fr.example")
    assert (answers[-1]["status"], answers[-1]["body"]) == (200, "PHP of fr")
    assert host.check_output("pgrep --uid fr --count php-cgi") == "3"


KILLS = [("apache_fastcgi", "swapped all"), ("apache_fastcgi", "followed"), ("suexec_wrapper", "swapped one")]


@pytest.mark.parametrize(("role", "point"), KILLS)
def test_apache_starts_wherever_the_removal_of_sites_was_killed(host, get, converge, sites, role, point):
    """SUX-04. The run that is killed takes two sites away; the next one has them back."""
    killed = converge({name: sites[name] for name in ("uk", "it")}, die_at=f"{role}: {point}")
    assert killed.returncode != 0, killed.stdout
    host.check_output("systemctl restart apache2")  # as after a boot
    assert get("http://uk.example/whoami.php").body == "PHP of uk"
    for name in ("de", "fr"):
        answer = get(f"http://{name}.example/whoami.php")
        assert (answer.status, answer.body) == (200, f"PHP of {name}") or answer.status == 404
    done = converge(sites)
    assert done.returncode == 0, done.stdout
    for name in sites:
        assert get(f"http://{name}.example/whoami.php").body == f"PHP of {name}"


def test_the_last_sites_of_mod_fastcgi_leave_nothing_behind(host, get, converge, sites):
    """Apache does not even load the module any more; then all of it comes back."""
    done = converge({"it": sites["it"]})
    assert done.returncode == 0, done.stdout
    assert traces(host, "uk", "de", "fr") == ([], [])
    assert "fastcgi_module" not in host.check_output("apache2ctl -M")
    assert get("http://uk.example/whoami.php").status == 404
    assert get("http://it.example/whoami.php").body == "PHP of it"
    done = converge(sites)
    assert done.returncode == 0, done.stdout
    assert get("http://uk.example/whoami.php").body == "PHP of uk"


def test_nor_does_a_play_without_the_role_fcgid(host, get, converge, play, sites, tmp_path):
    """Each role takes away what its own sites have had in common."""
    roles = ("site_accounts", "fpm_pool", "apache_fastcgi", "apache_vhost")
    book = tmp_path / "without_fcgid.yml"
    book.write_text(
        "- hosts: all\n  roles:\n" + "".join(f"    - webhosting.fastcgi.{role}\n" for role in roles)
    )
    kept = ("name", "server_name", "document_root")
    there = [{key: site[key] for key in kept if key in site} for site in sites.values()]
    run = play(book, {"fastcgi_sites": there, "ansible_become": False})
    assert run.returncode == 0, run.stdout
    assert "fastcgi_module" not in host.check_output("apache2ctl -M").split()
    assert host.check_output("find /etc/apache2 -name '*mod_fastcgi*'") == ""
    for name in sites:
        assert get(f"http://{name}.example/whoami.php").body == f"PHP of {name}"
    assert converge(sites).returncode == 0


PACKAGE = """
set -e
cd $(mktemp -d)
modules=/usr/lib/apache2/modules available=etc/apache2/mods-available
mkdir -p it/DEBIAN it$modules it/$available
cp /usr/local/lib/fastcgi/mod_fastcgi.so it$modules/
echo "LoadModule fastcgi_module $modules/mod_fastcgi.so" > it/$available/fastcgi.load
echo 'FastCgiIpcDir /var/lib/apache2/fastcgi' > it/$available/fastcgi.conf
printf '#!/bin/sh\\na2enmod --quiet fastcgi\\n' > it/DEBIAN/postinst
printf '#!/bin/sh\\na2dismod --quiet --force fastcgi\\n' > it/DEBIAN/prerm
chmod 755 it/DEBIAN/p*
printf '%s: %s\\n' Package mod-fastcgi-of-ours Version 1 Architecture all > it/DEBIAN/control
printf '%s: %s\\n' Maintainer us Description mod_fastcgi >> it/DEBIAN/control
dpkg-deb --build it it.deb >&2
base64 it.deb
"""


def test_the_module_may_come_in_a_package_that_sets_it_up_as_debian_would(
    host, get, converge, sites, tmp_path
):
    """Its file, and then its name."""
    file = tmp_path / "mod-fastcgi-of-ours.deb"
    file.write_bytes(base64.b64decode(host.check_output(f"sh -c {shlex.quote(PACKAGE)}")))
    try:
        for source in (str(file), "mod-fastcgi-of-ours"):
            run = converge(sites, apache_fastcgi_mod_fastcgi=source)
            assert run.returncode == 0, run.stdout
            for name in sites:
                assert get(f"http://{name}.example/whoami.php").body == f"PHP of {name}"
        mapped = host.check_output("cat /proc/$(systemctl show -P MainPID apache2)/maps")
        assert "/usr/lib/apache2/modules/mod_fastcgi.so" in mapped
    finally:
        run = converge(sites)
        host.check_output("dpkg --purge mod-fastcgi-of-ours && systemctl reload apache2")
    assert run.returncode == 0, run.stdout
    assert get("http://uk.example/whoami.php").body == "PHP of uk"

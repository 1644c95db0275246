"""What is on the host for mod_fastcgi, whether Apache has that or not."""

import json
import re
import shlex

import pytest

CONFIGURATION = ("/etc/apache2", "/etc/fastcgi", "/etc/systemd/system", "/var/lib/config_set", "/var/www")

# Starts a wrapper as Apache's process manager does, with a socket as its standard input; tells who runs then.
START = """
import os, socket, subprocess, sys, time
directory, name = os.path.split(sys.argv[1])
listening = socket.socket(socket.AF_UNIX)
listening.bind(f"/run/{name}.test")
listening.listen()
command = ["setpriv", "--reuid=www-data", "--regid=www-data", "--init-groups",
           "/usr/lib/apache2/suexec", *sys.argv[2:], name]
started = subprocess.Popen(command, stdin=listening, cwd=directory)
time.sleep(2)
for whose in ("-p", "--ppid"):
    subprocess.run(["ps", "-o", "user=,comm=", whose, str(started.pid)])
started.terminate()
started.wait(10)
os.unlink(f"/run/{name}.test")
"""


def test_a_virtual_directory_is_a_link_of_the_sites_own_in_a_place_of_roots(host):
    link = host.file("/var/www/fastcgi/de")
    assert (link.is_symlink, link.linked_to) == (True, "/srv/de/htdocs")
    # testinfra would tell the owner of what it points to
    assert host.check_output("stat --format %U:%G /var/www/fastcgi/de") == "de:de"
    place = host.file("/var/www/fastcgi")
    assert (place.user, place.mode) == ("root", 0o711)
    assert host.check_output("ls /var/www/fastcgi") == "de"


@pytest.mark.parametrize("user", ["de", "www-data"])
def test_nobody_but_root_changes_what_runs_before_each_script(host, user):
    path = "/usr/local/lib/fastcgi/virtual.php"
    assert host.run(f"runuser -u {user} -- sh -c 'echo >> {path}'").rc != 0
    assert host.run(f"runuser -u {user} -- ln -sfn / /var/www/fastcgi/de").rc != 0


def test_each_site_has_what_its_php_takes(host):
    units = host.check_output(
        "systemctl list-units --plain --no-legend 'fastcgi-*.socket' | cut -d' ' -f1"
    ).split()
    assert units == ["fastcgi-de.socket", "fastcgi-it.socket", "fastcgi-uk.socket"]
    for site in ("de", "it", "uk"):
        socket = host.file(f"/run/fastcgi/bind/{site}.sock")
        assert (socket.user, socket.group, socket.mode) == ("root", "www-data", 0o660)
    assert host.check_output("find /var/www/wrapper -type f") == "/var/www/wrapper/fr.fr/fr.fastcgi"


def test_suexec_starts_the_wrapper_and_it_makes_as_many_processes_as_are_asked_for(host):
    wrapper = host.file("/var/www/wrapper/fr.fr/fr.fastcgi")
    assert (wrapper.user, wrapper.group, wrapper.mode) == ("fr", "fr", 0o700)
    told = host.check_output("python3 -c %s %s fr fr", START, wrapper.path)
    assert [line.split() for line in told.splitlines()] == [["fr", "php-cgi8.2"]] * 3


# What mod_fastcgi tells PHP of a request for /names.php/extra, and what the script is to know of it.
REQUEST = {
    "GATEWAY_INTERFACE": "FastCGI/1.0",
    "REQUEST_METHOD": "GET",
    "DOCUMENT_ROOT": "/srv/de/htdocs",
    "REQUEST_URI": "/names.php/extra",
    "REDIRECT_STATUS": "200",
    "REDIRECT_URL": "/names.php/extra",
    "SCRIPT_NAME": "/fastcgi-php/names.php",
    "SCRIPT_FILENAME": "/var/www/fastcgi/de/names.php",
    "PATH_INFO": "/extra",
    "PATH_TRANSLATED": "/srv/de/htdocs/extra",
}


def test_php_behind_a_virtual_directory_knows_a_script_by_its_right_names(host):
    client = (
        f"env -i {shlex.join(f'{key}={value}' for key, value in REQUEST.items())} cgi-fcgi -bind -connect"
    )
    answer = host.check_output(f"{client} /run/fastcgi/bind/de.sock")
    seen = json.loads(answer.split("\r\n\r\n", 1)[1])
    assert (seen["ran_as"], seen["exists"], seen["first"]) == ("de", True, "was here first")
    right = {
        "SCRIPT_NAME": "/names.php",
        "PHP_SELF": "/names.php/extra",
        "SCRIPT_FILENAME": "/srv/de/htdocs/names.php",
        "PATH_INFO": "/extra",
    }
    assert {key: seen["server"][key] for key in right} == right
    assert not [key for key in seen["server"] if key.startswith("FASTCGI")]


# ---------------------------------------------------------------- where the module comes from


def state(host):
    """The configuration of the host, whole: names, contents, owners, modes, times."""
    places = " ".join(CONFIGURATION)
    names = f"find {places} -printf '%p %y %l %u:%g %m %T@\\n' | sort"
    return host.check_output(f"{names}; find {places} -type f | sort | xargs sha256sum")


@pytest.mark.parametrize("source", ["", "/nowhere/mod_fastcgi.so", "Not A Package"])
def test_without_the_module_nothing_is_touched_and_the_way_out_is_named(host, converge, sites, source):
    """A site that left the list is not taken away either."""
    before = state(host)
    del sites["it"]
    run = converge(sites, apache_fastcgi_mod_fastcgi=source)
    words = re.sub(r"\s+", " ", run.stdout)
    assert run.returncode != 0
    for part in ("uk, de, fr ask for the engine mod_fastcgi", "apache_fastcgi_mod_fastcgi is", "proxy_fcgi"):
        assert part in words
    assert state(host) == before


def test_what_is_no_module_does_not_take_the_place_of_one(host, converge, sites, tmp_path):
    """Apache itself says so, and starts with the one that it had."""
    wrong = tmp_path / "mod_fastcgi.so"
    wrong.write_text("no module\n")
    before = host.run("sha256sum /usr/local/lib/fastcgi/mod_fastcgi.so").stdout
    run = converge(sites, apache_fastcgi_mod_fastcgi=str(wrong))
    assert run.returncode != 0
    assert "Cannot load" in run.stdout
    assert host.run("sha256sum /usr/local/lib/fastcgi/mod_fastcgi.so").stdout == before
    host.check_output("systemctl restart apache2")

"""Apache is asked for each changed site whether it reaches its PHP; if not, the change is undone (REL-01)."""

import copy
import re
import shlex

import pytest

ADDRESS = "http://changes.test/fastcgi-ping"
FOREIGN = "/etc/apache2/sites-enabled/000-foreign.conf"
ROOT = "/var/www/sites/changes"
SPIN = "<?php $until = microtime(true) + 1.2; while (microtime(true) < $until);"
CLIENT = "while curl -s -o /dev/null --connect-to ::127.0.0.1: http://changes.test/spin.php; do :; done"
LOAD = f"for client in $(seq 16); do ({CLIENT}) & done; wait"


@pytest.fixture
def with_changes(host, lists, converge):
    """Bring the host to the first list with something else for one of its sites."""
    lists["before"][1]["pm"] = {"max_children": 1}
    done = converge(lists["before"])
    assert done.returncode == 0, done.stdout

    def run(**fields):
        sites = copy.deepcopy(lists["before"])
        sites[1].update(fields)
        return converge(sites)

    yield run
    done = converge(lists["before"])
    assert done.returncode == 0, done.stdout


@pytest.fixture
def put(host):
    """Put a file onto the host for as long as the test takes."""
    paths = []

    def put(path, content):
        host.check_output(f"printf %s {shlex.quote(content)} > {path}")
        paths.append(path)

    yield put
    host.check_output("rm -f " + " ".join(paths))
    host.check_output("systemctl reload apache2")


@pytest.fixture
def out_of_reach(host):
    """A socket that Apache cannot open, which neither a test of the configuration nor root notices."""
    host.check_output("chmod 0600 /run/fastcgi/bind/changes.sock")
    yield
    host.check_output("chmod 0660 /run/fastcgi/bind/changes.sock")


def test_site_whose_php_is_out_of_reach_is_put_back(with_changes, files, out_of_reach):
    old = files("apache_fastcgi")
    run = with_changes(pass_authorization=True)  # changes the snippet alone
    assert run.returncode != 0
    assert (
        f"site changes, {ADDRESS}: its virtual host answers, but does not reach PHP (status 503)"
        in joined(run)
    )
    assert files("apache_fastcgi") == old


def test_site_that_another_virtual_host_answers_for_is_put_back(with_changes, files, put):
    put(FOREIGN, "<VirtualHost *:80>\nServerName changes.test\nRedirect 404 /\n</VirtualHost>\n")
    old = files("apache_vhost")
    run = with_changes(server_aliases=["other.test"])
    assert run.returncode != 0
    assert f"site changes, {ADDRESS}: another virtual host answers for it" in joined(run)
    assert files("apache_vhost") == old


def test_wrong_sites_php_is_not_taken_for_the_right_one(with_changes, files, put):
    put(FOREIGN, "<VirtualHost *:80>\nServerName changes.test\nInclude fastcgi/stays.conf\n</VirtualHost>\n")
    run = with_changes(server_aliases=["other.test"])
    assert run.returncode != 0
    assert "another virtual host answers for it" in joined(run)


def test_broken_application_and_htaccess_undo_nothing(with_changes, put, get):
    put(f"{ROOT}/.htaccess", "NoSuchDirective\n")
    done = with_changes(server_aliases=["other.test"], pass_authorization=True)
    assert done.returncode == 0, done.stdout
    assert get("http://other.test/index.php").status == 500


def test_rules_that_the_operator_has_for_the_whole_site_undo_nothing(with_changes, get, put):
    put(f"{ROOT}/ran.php", "<?php touch('/var/lib/fastcgi/changes/tmp/ran');")
    rules = ["<IfModule rewrite_module>", "RewriteEngine On", 'RewriteRule "^" /ran.php', "</IfModule>"]
    closed = ['<Location "/">', "Require ip 192.0.2.1", "</Location>"]
    done = with_changes(extra_directives=["Redirect 410 /", *rules, *closed])
    assert done.returncode == 0, done.stdout
    assert "a rule of the web server answers in its place (status 403)" in joined(done)
    assert get(ADDRESS).status == 403


def test_busy_site_is_only_warned_of(host, with_changes, put):
    """All workers are taken and others wait: the probe's answer comes too late, which is nobody's fault."""
    put(f"{ROOT}/spin.php", SPIN)
    host.check_output("systemd-run --unit=busy --property=RuntimeMaxSec=120 sh -c %s", LOAD)
    try:
        done = with_changes(server_aliases=["other.test"], php_admin_value={"memory_limit": "77M"})
    finally:
        host.check_output("systemctl stop busy")
    assert done.returncode == 0, done.stdout
    assert "its PHP has no worker free to answer" in joined(done)


def test_idle_site_is_asleep_again_afterwards(host, with_changes):
    log = "/var/log/apache2/other_vhosts_access.log"
    host.check_output(f"systemctl stop 'fastcgi-*.service'; truncate -s 0 {log}")
    done = with_changes(server_aliases=["other.test"])
    assert done.returncode == 0, done.stdout
    requests = re.findall('^([a-z]+).*"GET (\\S+) .*" ([0-9]+) ', host.file(log).content_string, re.MULTILINE)
    assert requests == [("changes", "/fastcgi-ping", "200")]
    asleep = "systemctl is-active -q fastcgi-changes || break"
    host.check_output(f"for attempt in $(seq 50); do {asleep}; sleep 0.1; done")
    assert host.run("ps -u changes").rc == 1


@pytest.mark.parametrize("header", ["", "0" * 32, "..", "../systemd", "$(id)"])
def test_nobody_else_can_ask(get, header):
    answer = get(ADDRESS, "-H", f"Config-Set-Probe: {header}")
    assert answer.status == 403
    assert "changes" not in answer.body.replace("changes.test", "")


def test_tenant_can_neither_ask_nor_learn_how(host, put, get):
    """Its PHP connects from 127.0.0.1 as well, while a pass is there that is not its own."""
    host.check_output("touch /run/config_set/0123456789abcdef0123456789abcdef")
    code = (
        "<?php $options = ['ignore_errors' => true, 'header' => 'Host: stays.test'];"
        "$c = stream_context_create(['http' => $options]);"
        "echo json_encode([@scandir('/run/config_set'), @touch('/run/config_set/' . str_repeat('a', 32)),"
        "file_get_contents('http://127.0.0.1/fastcgi-ping', false, $c), $http_response_header[0]]);"
    )
    put(f"{ROOT}/ask.php", code)
    listed, made, body, status = get("http://changes.test/ask.php").json
    host.check_output("rm /run/config_set/0123456789abcdef0123456789abcdef")
    assert (listed, made) == (False, False)
    assert status.endswith("403 Forbidden")
    assert "stays\n" not in body


def joined(run):
    """What a run said, on one line: YAML breaks long ones."""
    return " ".join(run.stdout.split())

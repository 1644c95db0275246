"""What a script that is a part of Apache is told of a request, and what becomes of its answer."""

import hashlib
import json

import pytest

UK = "http://uk.example"
DE = "http://de.example"
ROOT = "/var/www/sites/uk"


@pytest.mark.parametrize("name", ["uk", "de"])
def test_each_site_runs_under_its_own_user(get, name):
    for _ in range(5):
        assert get(f"http://{name}.example/whoami.php").body == f"PHP of {name}"


def test_apache_runs_it_itself(get):
    assert get(f"{UK}/settings.php").json["api"] == "apache2handler"


@pytest.mark.parametrize("name", ["uk", "de"])
def test_probe_is_answered_by_the_site_and_nobody_else_is(host, get, name):
    """By a script of root's, which is run although a site's settings keep its own to other directories."""
    number = "0" * 32
    ask = [f"http://{name}.example/fastcgi-ping", "-H", f"Config-Set-Probe: {number}"]
    assert get(*ask).status == 403
    host.check_output(f"install -d -m 711 /run/config_set && touch /run/config_set/{number}")
    try:
        assert (get(*ask).status, get(*ask).body) == (200, name)
        assert get(ask[0]).status == 403
    finally:
        host.check_output(f"rm /run/config_set/{number}")


# ---------------------------------------------------------------- settings


def test_settings_of_a_site_come_on_top_of_the_hosts_own(get):
    answer = get(f"{DE}/settings.php")
    assert (answer.json["memory_limit"], answer.json["set_memory_limit"]) == ("99M", True)
    assert answer.json["loaded"] == "/etc/php/8.2/apache2/php.ini"
    assert get(f"{UK}/settings.php").json["memory_limit"] == "128M"
    assert "x-powered-by" not in answer.headers


def test_scripts_cannot_change_what_is_locked(get):
    """TMO-06."""
    seen = get(f"{DE}/settings.php").json
    assert (seen["max_execution_time"], seen["set_max_execution_time"]) == ("1", False)
    assert seen["set_time_limit"] is False


def test_sessions_and_temporary_files_are_the_sites_own(get):
    seen = get(f"{UK}/settings.php").json
    assert (seen["save_path"], seen["session"]) == ("/var/lib/fastcgi/uk/sessions", True)
    assert seen["temporary"] == "/var/lib/fastcgi/uk/tmp"


def test_a_script_has_no_hold_on_signals(get):
    """TMO-31."""
    assert get(f"{UK}/settings.php").json["fork"] is False


def test_errors_go_to_the_sites_own_log(host, run_as):
    assert run_as("uk", 'error_log("a word for the log");').status == 200
    assert "a word for the log" in host.file("/var/log/fastcgi/uk/php.log").content_string
    assert host.file("/var/log/fastcgi/uk/php.log").user == "uk"


def test_a_script_that_computes_is_ended_by_php_itself(get, host):
    assert get(f"{DE}/burn.php").status == 500
    assert "Maximum execution time of 1 second" in host.file("/var/log/fastcgi/de/php.log").content_string


def test_nothing_ends_a_script_that_waits(get):
    """TMO-01: this is what the engine lacks."""
    assert get(f"{DE}/sleep.php?seconds=5").body == "slept"


# ---------------------------------------------------------------- requests

# request, and what $_SERVER holds; None: is not there (M02)
SERVER = [
    ("/echo.php", {"SCRIPT_NAME": "/echo.php", "PHP_SELF": "/echo.php", "PATH_INFO": None}),
    ("/echo.php", {"SCRIPT_FILENAME": f"{ROOT}/echo.php", "DOCUMENT_ROOT": ROOT, "QUERY_STRING": ""}),
    ("/echo.php", {"ORIG_SCRIPT_NAME": None, "REDIRECT_STATUS": None, "CONTENT_LENGTH": None}),
    ("//echo.php", {"SCRIPT_FILENAME": f"{ROOT}/echo.php"}),
    ("/no/../echo.php", {"SCRIPT_FILENAME": f"{ROOT}/echo.php"}),
    ("/echo.php/more", {"SCRIPT_NAME": "/echo.php", "PHP_SELF": "/echo.php/more", "PATH_INFO": "/more"}),
    ("/echo.php/more", {"PATH_TRANSLATED": f"{ROOT}/more", "SCRIPT_FILENAME": f"{ROOT}/echo.php"}),
    ("/echo.php/a%20b/%C3%BC", {"PATH_INFO": "/a b/ü", "REQUEST_URI": "/echo.php/a%20b/%C3%BC"}),
    ("/echo.php/more?a=1&b=%2F", {"QUERY_STRING": "a=1&b=%2F", "PATH_INFO": "/more"}),
]


@pytest.mark.parametrize(("path", "expected"), SERVER)
def test_what_a_script_is_told(get, path, expected):
    server = get(UK + path).json["server"]
    assert {key: server.get(key) for key in expected} == expected


@pytest.mark.parametrize("name", ["a b.php", "ü.php", "a+b.php", "100%.php", "q?x.php"])
def test_names_of_scripts(host, get, name):
    host.check_output(f"cp --preserve=all {ROOT}/echo.php %s", f"{ROOT}/{name}")
    encoded = "".join(f"%{byte:02X}" for byte in name.encode())
    seen = get(f"{UK}/{encoded}").json
    assert (seen["server"]["SCRIPT_FILENAME"], seen["ran_as"]) == (f"{ROOT}/{name}", "uk")


def test_a_front_controller_answers_for_what_is_not_there(get):
    for path in ("/", "/a/pretty/path"):
        assert get(DE + path).body == "index of de"
    assert get(f"{DE}/style.css").body == "p { color: teal; }\n"


@pytest.mark.parametrize("path", ["/missing.php", "/missing.php/more", "/missing/index.php", "/missing"])
def test_apache_answers_for_what_is_missing_with_its_error_document(get, path):
    answer = get(UK + path)
    assert (answer.status, answer.body) == (404, f"PHP's own page for 404 at {path}")


# The file that is there (a copy of echo.php), and the request. None of them may run, nor show its source.
TRAPS = [
    ("evil.php.jpg", "/evil.php.jpg"),
    ("image.jpg", "/image.jpg/x.php"),
    ("x.php.bak", "/x.php.bak"),
    ("x.php~", "/x.php~"),
    ("UP.PHP", "/UP.PHP"),
    (".php", "/.php"),
    ("x.php5", "/x.php5"),
    ("x.phtml", "/x.phtml"),
    ("x.phar", "/x.phar"),
    ("x.phps", "/x.phps"),
    ("line.php\n", "/line.php%0a"),
    ("echo.php", "/echo.php%20"),
    ("echo.php", "/echo.php%00.jpg"),
]


@pytest.mark.parametrize(("name", "path"), TRAPS, ids=[repr(path) for name, path in TRAPS])
def test_neither_runs_nor_shows_its_source(host, get, name, path):
    if name != "echo.php":
        host.check_output(f"cp --preserve=all {ROOT}/echo.php %s", f"{ROOT}/{name}")
    answer = get(UK + path)
    assert 400 <= answer.status < 500
    assert "ran_as" not in answer.body
    assert "<?php" not in answer.body


def test_script_that_the_site_cannot_read(host, get):
    host.check_output(f"install -o root -g root -m 0000 {ROOT}/echo.php {ROOT}/unreadable.php")
    answer = get(f"{UK}/unreadable.php")
    assert (answer.status, "<?php" in answer.body) == (500, False)


def test_credentials_reach_the_script_only_where_wanted(get):
    """M05; mod_php takes them from the request itself."""
    server = get(f"{DE}/echo.php", "-u", "ann:secret").json["server"]
    assert (server["PHP_AUTH_USER"], server["PHP_AUTH_PW"]) == ("ann", "secret")
    server = get(f"{DE}/echo.php", "-H", "Authorization: Bearer token").json["server"]
    assert server["HTTP_AUTHORIZATION"] == "Bearer token"
    for option in (["-u", "ann:secret"], ["-H", "Authorization: Bearer secret"]):
        assert "secret" not in json.dumps(get(f"{UK}/echo.php", *option).json)


def test_a_proxy_header_is_no_setting(get):
    """M04: httpoxy."""
    seen = get(f"{UK}/echo.php", "-H", "Proxy: http://evil.example").json
    assert "HTTP_PROXY" not in {**seen["server"], **seen["environment"]}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
def test_methods_reach_the_script(get, method):
    assert get(f"{UK}/echo.php", "-X", method).json["server"]["REQUEST_METHOD"] == method


# ---------------------------------------------------------------- bodies


@pytest.fixture(scope="module")
def uploads(host):
    """Files of 5 KB and 5 MB on the host, and their checksums."""
    host.check_output("head -c 5000 /dev/urandom > /tmp/small && head -c 5000000 /dev/urandom > /tmp/large")
    return {name: host.check_output(f"sha256sum /tmp/{name}").split()[0] for name in ("small", "large")}


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("coding", ["Transfer-Encoding: chunked", "X-Plain: yes"])
def test_a_body_arrives_whole(get, uploads, size, coding):
    body = ["-H", "Content-Type: application/octet-stream", "--data-binary", f"@/tmp/{size}"]
    assert get(f"{UK}/echo.php", "-X", "PUT", "-H", coding, *body).json["body_sha256"] == uploads[size]
    seen = get(f"{UK}/echo.php", "-H", coding, "-F", "field=value", "-F", f"upload=@/tmp/{size}").json
    assert (seen["files"], seen["post"]) == ({"upload": uploads[size]}, {"field": "value"})


def test_a_long_answer_arrives_whole(host):
    received = host.check_output("curl -sS --connect-to ::127.0.0.1: http://uk.example/big.php | sha256sum")
    assert received.split()[0] == hashlib.sha256(b"x" * (20 << 20)).hexdigest()


@pytest.mark.parametrize("code", [201, 404, 410, 500, 503])
def test_status_and_body_are_the_scripts(get, code):
    """Those that Apache knows. It makes 500 of another number (418), unless the script gives it words too."""
    answer = get(f"{UK}/status.php?code={code}")
    assert (answer.status, answer.body) == (code, "the script's own words")


def test_a_location_reaches_the_client(get):
    answer = get(f"{UK}/location.php")
    assert (answer.status, answer.headers["location"]) == (302, "/elsewhere?a=1&b=2")


def test_what_is_flushed_is_sent(host):
    """Nothing waits for a full buffer: the second line comes two seconds after the first."""
    arrivals = host.check_output(
        "curl -sSN --connect-to ::127.0.0.1: http://uk.example/stream.php |"
        " while read -r line; do echo $line $(date +%s.%N); done"
    )
    (first, start), (second, end) = (line.split() for line in arrivals.splitlines())
    assert (first, second) == ("first", "second")
    assert float(end) - float(start) > 1.5


def test_a_script_notices_that_its_client_has_gone(host):
    host.run(f"rm -f {ROOT}/aborted.txt; curl -sS --max-time 1 --connect-to ::127.0.0.1: {UK}/abort.php")
    # the script itself would talk for ten seconds
    host.check_output(f"timeout 5 sh -c 'until [ -s {ROOT}/aborted.txt ]; do sleep 0.1; done'")
    assert host.file(f"{ROOT}/aborted.txt").content_string == "1"


def test_no_more_clients_than_the_site_may_have(host):
    """MPM ITK turns the others away; a neighbour notices nothing."""
    ask = "curl -s -o /dev/null -w '%{{http_code}} ' --connect-to ::127.0.0.1: 'http://{}' &"
    busy = ask.format("de.example/sleep.php?seconds=2") * 6
    other = ask.format("uk.example/whoami.php")
    first, *codes = host.check_output("bash -c %s", f"{busy} sleep 1; {other} wait").split()
    codes.append(first)
    assert codes.count("503") in (2, 3)
    assert codes.count("200") == 7 - codes.count("503")

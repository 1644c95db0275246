"""What a script is told of a request through mod_fastcgi_handler, and what becomes of its answer."""

import hashlib
import json
import re
import time

import pytest

pytestmark = pytest.mark.takes_module("mod_fastcgi_handler", "requests through mod_fastcgi_handler")

UK = "http://uk.example"
DE = "http://de.example"
ROOT = "/var/www/sites/uk"


@pytest.mark.parametrize("name", ["uk", "de", "fr", "it"])
def test_each_site_runs_under_its_own_user(get, name):
    assert get(f"http://{name}.example/whoami.php").body == f"PHP of {name}"


@pytest.mark.parametrize(("name", "api"), [("uk", "fpm-fcgi"), ("fr", "cgi-fcgi")])
def test_either_php_stands_behind_a_socket(get, name, api):
    seen = get(f"http://{name}.example/settings.php").json
    assert (seen["api"], seen["set_max_execution_time"]) == (api, False)
    server = get(f"http://{name}.example/echo.php/more").json["server"]
    assert (server["SCRIPT_NAME"], server["PATH_INFO"]) == ("/echo.php", "/more")
    assert server["SCRIPT_FILENAME"] == f"/var/www/sites/{name}/echo.php"


def test_over_tls_too(get):
    assert get("https://uk.example/whoami.php", "--insecure").body == "PHP of uk"
    assert get("https://uk.example/echo.php", "--insecure").json["server"]["HTTPS"] == "on"


# request, and what $_SERVER holds; None: is not there (M02)
SERVER = [
    ("/echo.php", {"SCRIPT_NAME": "/echo.php", "PHP_SELF": "/echo.php", "PATH_INFO": None}),
    ("/echo.php", {"SCRIPT_FILENAME": f"{ROOT}/echo.php", "DOCUMENT_ROOT": ROOT, "QUERY_STRING": ""}),
    ("/echo.php", {"ORIG_SCRIPT_NAME": None, "REDIRECT_STATUS": None, "REDIRECT_URL": None}),
    ("//echo.php", {"SCRIPT_FILENAME": f"{ROOT}/echo.php"}),
    ("/echo.php/more", {"SCRIPT_NAME": "/echo.php", "PHP_SELF": "/echo.php/more", "PATH_INFO": "/more"}),
    ("/echo.php/more", {"PATH_TRANSLATED": f"{ROOT}/more", "SCRIPT_FILENAME": f"{ROOT}/echo.php"}),
    ("/echo.php/a%20b/%C3%BC", {"PATH_INFO": "/a b/ü", "REQUEST_URI": "/echo.php/a%20b/%C3%BC"}),
    ("/echo.php/more?a=1&b=%2F", {"QUERY_STRING": "a=1&b=%2F", "PATH_INFO": "/more"}),
]


@pytest.mark.parametrize(("path", "expected"), SERVER)
def test_what_a_script_is_told(get, path, expected):
    server = get(UK + path).json["server"]
    assert {key: server.get(key) for key in expected} == expected


def test_a_front_controller_answers_for_what_is_not_there(get):
    for path in ("/", "/a/pretty/path", "/a/pretty/path.php"):
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
    ("UP.PHP", "/UP.PHP"),
    (".php", "/.php"),
    ("x.phtml", "/x.phtml"),
    ("x.phar", "/x.phar"),
    ("x.php.fcgi", "/x.php.fcgi"),
    ("line.php\n", "/line.php%0a"),
    ("echo.php", "/echo.php%00.jpg"),
    ("echo.php", "/echo.php%20"),
    ("echo.php", "/fastcgi-ping"),
    ("echo.php", "/fastcgi-ping/echo.php"),
    ("echo.php", "//fastcgi-ping"),
]


@pytest.mark.parametrize("site", ["uk", "fr"])
@pytest.mark.parametrize(("name", "path"), TRAPS, ids=[repr(path) for name, path in TRAPS])
def test_neither_runs_nor_shows_its_source(host, get, site, name, path):
    root = f"/var/www/sites/{site}"
    if name != "echo.php":
        host.check_output(f"cp --preserve=all {root}/echo.php %s", f"{root}/{name}")
    answer = get(f"http://{site}.example{path}")
    assert 400 <= answer.status < 500
    assert "ran_as" not in answer.body
    assert "<?php" not in answer.body


def test_credentials_stay_with_apache(get):
    """There is no way to hand them on."""
    basic = get(f"{UK}/echo.php", "-u", "ann:secret").json
    assert "secret" not in json.dumps(basic)
    assert "PHP_AUTH_USER" not in basic["server"]


def test_a_proxy_header_is_no_setting(get):
    """M04: httpoxy."""
    seen = get(f"{UK}/echo.php", "-H", "Proxy: http://evil.example").json
    assert "HTTP_PROXY" not in {**seen["server"], **seen["environment"]}


@pytest.fixture(scope="module")
def upload(host):
    """The checksum of a file of 5 MB on the host."""
    host.check_output("head -c 5000000 /dev/urandom > /tmp/large")
    return host.check_output("sha256sum /tmp/large").split()[0]


@pytest.mark.parametrize("site", ["uk", "fr"])
def test_a_body_arrives_whole(get, upload, site):
    body = ["-H", "Content-Type: application/octet-stream", "--data-binary", "@/tmp/large"]
    assert get(f"http://{site}.example/echo.php", "-X", "PUT", *body).json["body_sha256"] == upload
    seen = get(f"http://{site}.example/echo.php", "-F", "field=value", "-F", "upload=@/tmp/large").json
    assert (seen["files"], seen["post"]) == ({"upload": upload}, {"field": "value"})


@pytest.mark.parametrize("url", [f"{UK}/echo.php", f"{DE}/echo.php", f"{DE}/a/pretty/path"])
def test_a_body_of_unknown_length_is_refused_where_it_would_be_lost(get, upload, url):
    assert get(url, "-H", "Transfer-Encoding: chunked", "--data-binary", "@/tmp/large").status == 411


@pytest.mark.parametrize("code", [201, 404, 500, 503])
def test_status_and_body_are_the_scripts(get, code):
    answer = get(f"{UK}/status.php?code={code}")
    assert (answer.status, answer.body) == (code, "the script's own words")


def test_a_long_answer_arrives_whole(host):
    received = host.check_output(f"curl -sS --connect-to ::127.0.0.1: {UK}/big.php | sha256sum")
    assert received.split()[0] == hashlib.sha256(b"x" * (20 << 20)).hexdigest()


def test_fpm_ends_a_script_that_waits_since_apache_would_not(host, get):
    started = time.monotonic()
    assert get(f"{DE}/sleep.php?seconds=25").status == 500
    assert 2 <= time.monotonic() - started < 8
    host.check_output("timeout 5 sh -c 'while pgrep --uid de --full sleep; do sleep 0.2; done'")


def test_the_limits_are_known_by_their_names(play, tmp_path):
    """timeout_order says what has no bound."""
    book = tmp_path / "ask.yml"
    book.write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        "    - webhosting.fastcgi.timeout_order:\n"
        "      register: told\n"
        "    - ansible.builtin.debug: {msg: '{{ told.table | join(\"\\n\") }}'}\n"
    )
    run = play(book, {})
    assert run.returncode == 0, run.stdout
    words = re.sub(r"\s+", " ", run.stdout)
    assert "TMO-07: mod_fastcgi_handler is unbounded" in words
    assert "undecided" not in words


# ---------------------------------------------------------------- changes


def test_sites_change_their_engine_and_back(host, converge, sites, asking):
    """No request is lost meanwhile, and nothing of the old engine stays."""
    there = {name: {k: v for k, v in site.items() if k != "engine"} for name, site in sites.items()}
    for wanted in (there, sites):
        with asking("uk.example", "de.example", "fr.example", "it.example") as polled:
            run = converge(wanted)
            assert run.returncode == 0, run.stdout
        for name in sites:
            answers = polled.answers(f"{name}.example")
            assert len(answers) > 5
            assert {(a["status"], a["body"]) for a in answers} == {(200, f"PHP of {name}")}
        loaded = "fastcgi_handler_module" in host.check_output("apache2ctl -M")
        assert loaded is (wanted is sites)
        left = host.check_output("find /etc/apache2 -name '*mod_fastcgi*'").split()
        assert len(left) == (2 if wanted is sites else 0)
        again = converge(wanted)
        assert "changed=0" in again.stdout, again.stdout


def test_a_site_whose_php_is_out_of_reach_is_noticed_and_the_change_is_taken_back(host, converge, sites, get):
    """The probe goes through the module."""
    host.check_output("chmod 0600 /run/fastcgi/bind/uk.sock")
    sites["uk"]["server_aliases"] = ["www.uk.example"]
    try:
        run = converge(sites)
    finally:
        host.check_output("chmod 0660 /run/fastcgi/bind/uk.sock")
    assert run.returncode != 0
    assert "does not reach PHP" in re.sub(r"\s+", " ", run.stdout)
    assert get("http://www.uk.example/whoami.php").status == 404
    assert get(f"{UK}/whoami.php").body == "PHP of uk"

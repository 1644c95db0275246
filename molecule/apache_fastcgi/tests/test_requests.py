"""As good as mod_php: what a script is told of a request, and what becomes of its answer."""

import hashlib
import json
from dataclasses import dataclass

import pytest

MEMBERS = "http://members.example"


@dataclass(frozen=True)
class Site:
    name: str

    @property
    def url(self):
        return f"http://{self.name}.example"

    @property
    def root(self):
        return f"/var/www/sites/{self.name}"


@pytest.fixture(scope="module", params=["uk", "cgi"])
def site(request):
    """One with FPM behind its socket, and one with php-cgi."""
    return Site(request.param)


# request, and what $_SERVER holds; ROOT: the document root; None: is not there (M02)
SERVER = [
    ("/echo.php", {"SCRIPT_NAME": "/echo.php", "PHP_SELF": "/echo.php", "PATH_INFO": None}),
    ("/echo.php", {"SCRIPT_FILENAME": "ROOT/echo.php", "DOCUMENT_ROOT": "ROOT/", "QUERY_STRING": ""}),
    ("/echo.php", {"ORIG_SCRIPT_NAME": None, "ORIG_PATH_INFO": None, "REDIRECT_STATUS": None}),
    ("/echo.php", {"REQUEST_URI": "/echo.php", "REQUEST_METHOD": "GET", "HTTPS": None}),
    ("//echo.php", {"SCRIPT_FILENAME": "ROOT/echo.php"}),
    ("/.//./echo.php", {"SCRIPT_FILENAME": "ROOT/echo.php"}),
    ("/no/../echo.php", {"SCRIPT_FILENAME": "ROOT/echo.php"}),
    ("/echo.php/more", {"SCRIPT_NAME": "/echo.php", "PHP_SELF": "/echo.php/more", "PATH_INFO": "/more"}),
    ("/echo.php/more", {"PATH_TRANSLATED": "ROOT/more", "SCRIPT_FILENAME": "ROOT/echo.php"}),
    ("/echo.php/a/b.php", {"SCRIPT_NAME": "/echo.php", "PATH_INFO": "/a/b.php"}),
    ("/echo.php/a%20b/%C3%BC", {"PATH_INFO": "/a b/ü", "REQUEST_URI": "/echo.php/a%20b/%C3%BC"}),
    ("/echo.php/", {"PATH_INFO": "/", "PHP_SELF": "/echo.php/"}),
    ("/echo.php?a=1&b=%2F%20", {"QUERY_STRING": "a=1&b=%2F%20", "REQUEST_URI": "/echo.php?a=1&b=%2F%20"}),
    ("/echo.php/more?x", {"QUERY_STRING": "x", "PATH_INFO": "/more", "SCRIPT_NAME": "/echo.php"}),
    ("/echo.php?", {"QUERY_STRING": "", "SCRIPT_NAME": "/echo.php"}),
]


@pytest.mark.parametrize(("path", "expected"), SERVER)
def test_what_a_script_is_told(get, site, path, expected):
    server = get(site.url + path).json["server"]
    told = {key: value and value.replace("ROOT", site.root) for key, value in expected.items()}
    assert {key: server.get(key) for key in told} == told


@pytest.mark.parametrize("name", ["a b.php", "ü.php", "a+b.php", "100%.php", "a&b.php", "a#b;c.php"])
def test_names_of_scripts(host, get, name, site):
    host.check_output(f"cp --preserve=all {site.root}/echo.php %s", f"{site.root}/{name}")
    encoded = "".join(f"%{byte:02X}" for byte in name.encode())
    seen = get(f"{site.url}/{encoded}").json
    assert seen["server"]["SCRIPT_FILENAME"] == f"{site.root}/{name}"
    assert seen["ran_as"] == site.name


def test_plus_sign_in_a_path_is_no_space(host, get, site):
    host.check_output(f"cp --preserve=all {site.root}/echo.php {site.root}/a+b.php")
    assert get(f"{site.url}/a+b.php").json["server"]["SCRIPT_NAME"] == "/a+b.php"


def test_directory_index(get, site):
    assert get(f"{site.url}/").body == f"index of {site.name}"


def test_directory_index_in_a_subdirectory(host, get, site):
    host.check_output(f"install -d -o {site.name} -g www-data -m 2750 {site.root}/sub")
    host.check_output(f"cp --preserve=all {site.root}/echo.php {site.root}/sub/index.php")
    server = get(f"{site.url}/sub/?q").json["server"]
    assert (server["SCRIPT_NAME"], server["REQUEST_URI"]) == ("/sub/index.php", "/sub/?q")
    assert get(f"{site.url}/sub").headers["location"] == f"{site.url}/sub/"


# ---------------------------------------------------------------- what does not run


@pytest.mark.parametrize("path", ["/missing.php", "/missing.php/more", "/missing/index.php", "/missing"])
def test_apache_answers_for_what_is_missing_with_its_error_document(get, path, site):
    """Also where that is a PHP script (SEC-24, M07)."""
    answer = get(site.url + path)
    assert (answer.status, answer.body) == (404, f"PHP's own page for 404 at {path}")


def test_apache_answers_for_what_is_missing_without_an_error_document(get):
    answer = get(f"{MEMBERS}/missing.php")
    assert answer.status == 404
    assert "Apache" in answer.body
    assert "File not found." not in answer.body


# The file that is there (a copy of echo.php), and the request. None of them may run, nor show its source:
# SEC-19, SEC-21, SEC-25, M01, M08.
TRAPS = [
    ("evil.php.jpg", "/evil.php.jpg"),
    ("image.jpg", "/image.jpg/x.php"),
    ("image.jpg", "/image.jpg/.php"),
    ("x.php.bak", "/x.php.bak"),
    ("x.php~", "/x.php~"),
    (".x.php.swp", "/.x.php.swp"),
    ("UP.PHP", "/UP.PHP"),
    ("Mixed.Php", "/Mixed.Php"),
    (".php", "/.php"),
    ("x.php5", "/x.php5"),
    ("x.phtml", "/x.phtml"),
    ("x.phar", "/x.phar"),
    ("x.phps", "/x.phps"),
    ("x.jpg", "/x.php%00.jpg"),
    ("echo.php", "/echo.php%00.jpg"),
    ("echo.php", "/echo.php%0a"),
    ("line.php\n", "/line.php%0a"),
    ("line.php\n.jpg", "/line.php%0a.jpg"),
    ("echo.php", "/echo.php."),
    ("dot.php.", "/dot.php."),
    ("echo.php", "/echo.php%20"),
    ("space.php ", "/space.php%20"),
    ("echo.php", "/echo.php::$DATA"),
    ("echo.php", "/echo%2ephp%2f"),
    ("denied.php", "/denied.php"),
]


@pytest.mark.parametrize(("name", "path"), TRAPS, ids=[repr(path) for name, path in TRAPS])
def test_neither_runs_nor_shows_its_source(host, get, name, path, site):
    if name not in ("echo.php", "denied.php"):
        host.check_output(f"cp --preserve=all {site.root}/echo.php %s", f"{site.root}/{name}")
    answer = get(site.url + path)
    assert 400 <= answer.status < 500
    assert "ran_as" not in answer.body
    assert "<?php" not in answer.body


@pytest.mark.parametrize(("name", "status"), [("uk", 403), ("cgi", 200)])
def test_question_mark_in_a_name(host, get, name, status):
    """M08: mod_proxy_fcgi does not let it through to FPM, where the script's name is a part of a URL."""
    one = Site(name)
    host.check_output(f"cp --preserve=all {one.root}/echo.php %s", f"{one.root}/q?x.php")
    answer = get(f"{one.url}/q%3Fx.php")
    assert (answer.status, "<?php" in answer.body) == (status, False)
    if status == 200:
        assert answer.json["server"]["SCRIPT_NAME"] == "/q?x.php"


def test_script_that_php_cannot_read(host, get, site):
    host.check_output(f"install -o root -g root -m 0000 {site.root}/echo.php {site.root}/unreadable.php")
    assert get(f"{site.url}/unreadable.php").status == 403


@pytest.mark.parametrize("name", ["picture.jpg", "graphp.txt", "phpinfo", "phar.html", "class.phpmailer.js"])
def test_other_files_are_apaches_to_serve(host, get, name, site):
    host.check_output(f"cp --preserve=all {site.root}/style.css {site.root}/{name}")
    assert get(f"{site.url}/{name}").body == "p { color: teal; }\n"


# ---------------------------------------------------------------- headers of the request


def test_credentials_stay_with_apache(get, site):
    """Without pass_authorization (SEC-29, M05)."""
    basic = get(f"{site.url}/echo.php", "-u", "ann:secret").json
    bearer = get(f"{site.url}/echo.php", "-H", "Authorization: Bearer token").json
    for word in ("secret", "PHP_AUTH_USER", "HTTP_AUTHORIZATION", "Bearer"):
        assert word not in json.dumps([basic, bearer])


def test_credentials_reach_the_script_where_wanted(get):
    """With pass_authorization (M05)."""
    server = get(f"{MEMBERS}/echo.php", "-u", "ann:secret").json["server"]
    assert (server["PHP_AUTH_USER"], server["PHP_AUTH_PW"]) == ("ann", "secret")
    server = get(f"{MEMBERS}/echo.php", "-H", "Authorization: Bearer token").json["server"]
    assert server["HTTP_AUTHORIZATION"] == "Bearer token"


def test_a_proxy_header_is_no_setting(get, site):
    """M04: httpoxy."""
    seen = get(f"{site.url}/echo.php", "-H", "Proxy: http://evil.example").json
    assert "HTTP_PROXY" not in {**seen["server"], **seen["environment"]}


@pytest.mark.parametrize("header", ["PHP_VALUE", "PHP-Admin-Value", "Script-Filename", "Document-Root"])
def test_a_header_is_no_parameter_of_fastcgi(get, header, site):
    """I05: it arrives as HTTP_…, if at all."""
    server = get(f"{site.url}/echo.php", "-H", f"{header}: auto_prepend_file=/etc/passwd").json["server"]
    told = {key for key, value in server.items() if "passwd" in str(value)}
    assert told <= {"HTTP_" + header.upper().replace("-", "_")}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "REPORT"])
def test_methods_reach_the_script(get, method, site):
    assert get(f"{site.url}/echo.php", "-X", method).json["server"]["REQUEST_METHOD"] == method


def test_head_has_the_headers_alone(get, site):
    answer = get(f"{site.url}/status.php?code=200", "--head")
    assert (answer.status, answer.body) == (200, "")
    assert answer.headers["content-type"].startswith("text/html")


# ---------------------------------------------------------------- bodies of requests


@pytest.fixture(scope="module")
def uploads(host):
    """Files of 5 KB and 5 MB on the host, and their checksums."""
    host.check_output("head -c 5000 /dev/urandom > /tmp/small && head -c 5000000 /dev/urandom > /tmp/large")
    return {name: host.check_output(f"sha256sum /tmp/{name}").split()[0] for name in ("small", "large")}


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("coding", ["Transfer-Encoding: chunked", "X-Plain: yes"])
def test_a_body_arrives_whole(get, uploads, size, coding, site):
    body = ["-H", "Content-Type: application/octet-stream", "--data-binary", f"@/tmp/{size}"]
    seen = get(f"{site.url}/echo.php", "-X", "PUT", "-H", coding, *body).json
    assert seen["body_sha256"] == uploads[size]


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("coding", ["Transfer-Encoding: chunked", "X-Plain: yes"])
def test_an_upload_arrives_whole(get, uploads, size, coding, site):
    seen = get(f"{site.url}/echo.php", "-H", coding, "-F", "field=value", "-F", f"upload=@/tmp/{size}").json
    assert (seen["files"], seen["post"]) == ({"upload": uploads[size]}, {"field": "value"})


def test_a_form_arrives(get, site):
    seen = get(f"{site.url}/echo.php?q=1", "--data-urlencode", "text=a & ü").json
    assert (seen["get"], seen["post"]) == ({"q": "1"}, {"text": "a & ü"})


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("code", [201, 404, 410, 418, 500, 503])
def test_status_and_body_are_the_scripts(get, code, site):
    """Apache's ErrorDocument is for what Apache itself has to say."""
    answer = get(f"{site.url}/status.php?code={code}")
    assert (answer.status, answer.body) == (code, "the script's own words")


def test_a_location_reaches_the_client(get, site):
    answer = get(f"{site.url}/location.php")
    assert (answer.status, answer.headers["location"]) == (302, "/elsewhere?a=1&b=2")


def test_a_long_answer_arrives_whole(host, site):
    received = host.check_output(f"curl -sS --connect-to ::127.0.0.1: {site.url}/big.php | sha256sum")
    assert received.split()[0] == hashlib.sha256(b"x" * (20 << 20)).hexdigest()


def test_an_etag_of_a_script_is_honoured(get, site):
    answer = get(f"{site.url}/etag.php", "-H", 'If-None-Match: "one"')
    assert (answer.status, answer.body) == (304, "")
    assert get(f"{site.url}/etag.php", "-H", 'If-None-Match: "two"').body == "the whole body"


def test_ranges(get, site):
    """A file in parts, a script's answer whole."""
    part = get(f"{site.url}/style.css", "-H", "Range: bytes=4-8")
    assert (part.status, part.body) == (206, "color")
    whole = get(f"{site.url}/etag.php", "-H", "Range: bytes=4-8")
    assert (whole.status, whole.body) == (200, "the whole body")


def test_what_is_flushed_is_sent(host, site):
    """Nothing waits for a full buffer: the second line comes two seconds after the first."""
    arrivals = host.check_output(
        f"curl -sSN --connect-to ::127.0.0.1: {site.url}/stream.php |"
        " while read -r line; do echo $line $(date +%s.%N); done"
    )
    (first, start), (second, end) = (line.split() for line in arrivals.splitlines())
    assert (first, second) == ("first", "second")
    assert float(end) - float(start) > 1.5


def test_a_script_notices_that_its_client_has_gone(host, get, site):
    host.run(
        f"rm -f {site.root}/aborted.txt; curl -sS --max-time 1 --connect-to ::127.0.0.1: {site.url}/abort.php"
    )
    # the script itself would talk for ten seconds
    host.check_output(f"timeout 5 sh -c 'until [ -s {site.root}/aborted.txt ]; do sleep 0.1; done'")
    assert host.file(f"{site.root}/aborted.txt").content_string == "1"

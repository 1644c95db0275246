"""What a script is told of a request that came through mod_fastcgi, and what becomes of its answer."""

import hashlib
import json
import re

import pytest

pytestmark = pytest.mark.takes_module("mod_fastcgi", "requests through mod_fastcgi")

ROOTS = {"uk": "/var/www/sites/uk", "de": "/srv/de/htdocs", "fr": "/var/www/sites/fr"}
# through an alias, through a virtual directory, and to PHP that Apache starts
EACH = pytest.mark.parametrize("site", ROOTS)


@EACH
def test_each_site_runs_under_its_own_user(get, site):
    assert get(f"http://{site}.example/whoami.php").body == f"PHP of {site}"


@pytest.mark.parametrize("site", ["uk", "fr"])
def test_over_tls_too(get, site):
    """Two virtual hosts include the snippet of such a site; mod_fastcgi knows its PHP once."""
    assert get(f"https://{site}.example/whoami.php", "--insecure").body == f"PHP of {site}"
    assert get(f"https://{site}.example/echo.php", "--insecure").json["server"]["HTTPS"] == "on"


@pytest.mark.parametrize(("site", "api"), [("uk", "fpm-fcgi"), ("de", "fpm-fcgi"), ("fr", "cgi-fcgi")])
def test_settings_are_the_sites(get, site, api):
    seen = get(f"http://{site}.example/settings.php").json
    assert seen["api"] == api
    assert (seen["save_path"], seen["session"]) == (f"/var/lib/fastcgi/{site}/sessions", True)
    assert (seen["set_max_execution_time"], seen["set_time_limit"]) == (False, False)
    assert seen["fork"] is False  # TMO-31


# ---------------------------------------------------------------- what a script is told

# request, and what $_SERVER holds; None: is not there (M02)
SERVER = [
    ("/echo.php", {"SCRIPT_NAME": "/echo.php", "PHP_SELF": "/echo.php", "PATH_INFO": None}),
    ("/echo.php", {"SCRIPT_FILENAME": "{root}/echo.php", "DOCUMENT_ROOT": "{root}", "QUERY_STRING": ""}),
    ("//echo.php", {"SCRIPT_FILENAME": "{root}/echo.php"}),
    ("/no/../echo.php", {"SCRIPT_FILENAME": "{root}/echo.php"}),
    ("/echo.php/more", {"SCRIPT_NAME": "/echo.php", "PHP_SELF": "/echo.php/more", "PATH_INFO": "/more"}),
    ("/echo.php/more", {"PATH_TRANSLATED": "{root}/more", "SCRIPT_FILENAME": "{root}/echo.php"}),
    ("/echo.php/a/b.php", {"SCRIPT_NAME": "/echo.php", "PATH_INFO": "/a/b.php"}),
    ("/echo.php/a%20b/%C3%BC", {"PATH_INFO": "/a b/ü", "REQUEST_URI": "/echo.php/a%20b/%C3%BC"}),
    ("/echo.php/", {"PATH_INFO": "/", "PHP_SELF": "/echo.php/"}),
    ("/echo.php/more?a=1&b=%2F", {"QUERY_STRING": "a=1&b=%2F", "PATH_INFO": "/more"}),
    # what sending the request on leaves behind
    ("/echo.php", {"REDIRECT_STATUS": "200", "REDIRECT_URL": "/echo.php", "REDIRECT_HANDLER": "fastcgi-php"}),
]


@EACH
@pytest.mark.parametrize(("path", "expected"), SERVER)
def test_what_a_script_is_told(get, site, path, expected):
    server = get(f"http://{site}.example{path}").json["server"]
    expected = {key: value and value.format(root=ROOTS[site]) for key, value in expected.items()}
    assert {key: server.get(key) for key in expected} == expected


@EACH
def test_the_path_that_mod_fastcgi_knows_shows_where_no_script_looks_for_its_own(get, site):
    seen = get(f"http://{site}.example/echo.php/more").json["server"]
    told = {
        key for key, value in seen.items() if "fastcgi-php" in str(value) or "/var/www/fastcgi" in str(value)
    }
    left = {"ORIG_SCRIPT_NAME", "ORIG_SCRIPT_FILENAME", "CONTEXT_PREFIX", "CONTEXT_DOCUMENT_ROOT"}
    assert told - {"REDIRECT_HANDLER"} <= (left if site != "de" else set())


@EACH
def test_a_script_finds_itself(host, get, site):
    root = ROOTS[site]
    host.check_output(f"install -d -o {site} -g {site} {root}/sub")
    host.check_output(f"cp --preserve=all {root}/names.php {root}/sub/index.php")
    seen = get(f"http://{site}.example/sub/").json
    assert (seen["exists"], seen["this_file"]) == (True, f"{root}/sub/index.php")
    assert (seen["directory"], seen["server"]["SCRIPT_NAME"]) == (f"{root}/sub", "/sub/index.php")


@EACH
@pytest.mark.parametrize("name", ["a b.php", "ü.php", "a+b.php", "100%.php", "a&b.php", "q?x.php"])
def test_names_of_scripts(host, get, site, name):
    root = ROOTS[site]
    host.check_output(f"cp --preserve=all {root}/echo.php %s", f"{root}/{name}")
    encoded = "".join(f"%{byte:02X}" for byte in name.encode())
    assert get(f"http://{site}.example/{encoded}").json["server"]["SCRIPT_FILENAME"] == f"{root}/{name}"


def test_rules_of_mod_rewrite_in_the_virtual_host_do_not_get_in_the_way(get):
    server = get("http://uk.example/pretty/path").json["server"]
    assert server["SCRIPT_FILENAME"] == f"{ROOTS['uk']}/echo.php"
    assert server["SCRIPT_NAME"] == "/pretty/path"  # as mod_php says it
    assert get("http://uk.example/pretty/path?a=1").json["get"] == {"a": "1"}


def test_a_front_controller_answers_for_what_is_not_there(get):
    for path in ("/", "/a/pretty/path", "/a/pretty/path.php"):
        assert get(f"http://fr.example{path}").body == "index of fr"
    assert get("http://fr.example/style.css").body == "p { color: teal; }\n"


@pytest.mark.parametrize("site", ["uk", "de"])
@pytest.mark.parametrize("path", ["/missing.php", "/missing.php/more", "/missing/index.php", "/missing"])
def test_apache_answers_for_what_is_missing_with_its_error_document(get, site, path):
    """The page itself is a request that was sent on, so that is what REDIRECT_URL tells of."""
    answer = get(f"http://{site}.example{path}")
    assert (answer.status, answer.body) == (404, "PHP's own page for 404 at /error.php")


# ---------------------------------------------------------------- what runs before a script


def test_what_the_site_runs_before_its_scripts_does_so(get):
    seen = get("http://de.example/names.php").json
    assert seen["first"] == "was here first"
    assert [name for name in seen["variables"] if not name.startswith("_")] == ["first"]


def test_a_user_ini_may_name_another_file_for_that(host, get):
    """As some applications that guard themselves do; the nearest one counts."""
    root = ROOTS["de"]
    host.check_output(f"install -d -o de -g de {root}/ini {root}/ini/deep")
    host.check_output(f"cp --preserve=all {root}/names.php {root}/ini/deep/")
    host.check_output(f"echo '<?php $first = \"from a user.ini\";' > {root}/other.php")
    host.check_output(f"echo 'auto_prepend_file = {root}/other.php' > {root}/ini/.user.ini")
    host.check_output(f"chown de:de {root}/other.php {root}/ini/.user.ini")
    assert get("http://de.example/ini/deep/names.php").json["first"] == "from a user.ini"
    host.check_output(f"echo 'auto_prepend_file = none' > {root}/ini/deep/.user.ini")
    assert get("http://de.example/ini/deep/names.php").json["first"] is None
    assert get("http://de.example/names.php").json["first"] == "was here first"


# ---------------------------------------------------------------- what does not run

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
    # the path that requests are sent on to
    ("echo.php", "/fastcgi-php"),
    ("echo.php", "/fastcgi-php/"),
    ("echo.php", "/fastcgi-php/echo.php"),
    ("echo.php", "//fastcgi-php/echo.php"),
    ("echo.php", "/%66astcgi-php/echo.php"),
    ("echo.php", "/x/../fastcgi-php/echo.php"),
    ("evil.php.jpg", "/fastcgi-php/evil.php.jpg"),
    ("image.jpg", "/fastcgi-php/image.jpg"),
    ("image.jpg", "/fastcgi-php/image.jpg/x.php"),
    ("echo.php", "/fastcgi-ping/echo.php"),
]


@EACH
@pytest.mark.parametrize(("name", "path"), TRAPS, ids=[repr(path) for name, path in TRAPS])
def test_neither_runs_nor_shows_its_source(host, get, site, name, path):
    if name != "echo.php":
        host.check_output(f"cp --preserve=all {ROOTS[site]}/echo.php %s", f"{ROOTS[site]}/{name}")
    answer = get(f"http://{site}.example{path}")
    if site == "fr" and answer.status == 200:
        assert answer.body == "index of fr"  # its front controller
    else:
        assert 400 <= answer.status < 500
    for word in ("ran_as", "<?php", "PHP_FCGI_CHILDREN"):
        assert word not in answer.body


def test_a_wrapper_that_is_gone_keeps_nobody_from_anything(host, get):
    """SUX-04. Neither a script's source is shown, nor the wrapper's once it is back."""
    wrapper = "/var/www/wrapper/fr.fr/fr.fastcgi"
    host.check_output(f"chattr -i /var/www/wrapper/fr.fr {wrapper}; mv {wrapper} /root/")
    try:
        host.check_output("systemctl restart apache2")
        gone = get("http://fr.example/whoami.php")
        host.check_output(f"mv /root/fr.fastcgi {wrapper}")
        back = [get(f"http://fr.example{path}") for path in ("/whoami.php", "/fastcgi-php", "/fastcgi-php/x")]
        for answer in (gone, *back):
            assert 400 <= answer.status < 500
            assert "<?php" not in answer.body
            assert "PHP_FCGI_CHILDREN" not in answer.body
        assert get("http://uk.example/whoami.php").body == "PHP of uk"
    finally:
        host.run(f"[ -e {wrapper} ] || mv /root/fr.fastcgi {wrapper}")
        host.check_output(f"chattr +i /var/www/wrapper/fr.fr {wrapper}; systemctl restart apache2")
    assert get("http://fr.example/whoami.php").body == "PHP of fr"


@pytest.mark.parametrize("user", ["uk", "fr"])
def test_no_tenant_comes_near_the_sockets_of_wrappers(host, user):
    place = host.file("/var/lib/apache2/fastcgi")
    assert (place.user, place.mode) == ("www-data", 0o700)
    assert host.check_output(f"find {place.path} -maxdepth 1 -type s | wc -l") == "1"
    assert host.run(f"runuser -u {user} -- ls {place.path}").rc != 0


def test_a_script_that_php_cannot_read(host, get):
    host.check_output(f"install -o root -g root -m 0000 {ROOTS['uk']}/echo.php {ROOTS['uk']}/unreadable.php")
    assert get("http://uk.example/unreadable.php").status == 403


def test_a_link_that_a_tenant_makes_leads_nowhere(host, get):
    """Apache follows the link that root made, and below it none to somebody else's file."""
    host.check_output(f"ln -sfn {ROOTS['uk']}/whoami.php {ROOTS['de']}/stolen.php")
    host.check_output(f"chown -h de:www-data {ROOTS['de']}/stolen.php")
    assert get("http://de.example/stolen.php").status == 403


# ---------------------------------------------------------------- headers and bodies


@pytest.mark.parametrize("site", ["de", "fr"])
def test_credentials_reach_the_script_where_wanted(get, site):
    """M05."""
    server = get(f"http://{site}.example/echo.php", "-u", "ann:secret").json["server"]
    assert (server["PHP_AUTH_USER"], server["PHP_AUTH_PW"]) == ("ann", "secret")
    server = get(f"http://{site}.example/echo.php", "-H", "Authorization: Bearer token").json["server"]
    assert server["HTTP_AUTHORIZATION"] == "Bearer token"


@EACH
@pytest.mark.parametrize("path", ["/echo.php", "/echo.php/more", "/login/", "/pretty/path"])
def test_nobody_but_apache_says_who_has_logged_in(host, get, site, path):
    """It goes along in headers, from one request within Apache to the next."""
    root = ROOTS[site]
    host.check_output(f"install -d -o {site} -g {site} {root}/login")
    host.check_output(f"cp --preserve=all {root}/echo.php {root}/login/index.php")
    forged = ["-H", "Fastcgi-User: root", "-H", "Fastcgi-Auth: Basic"]
    answer = get(f"http://{site}.example{path}", *forged)
    if path == "/pretty/path" and site != "uk":
        assert "root" not in answer.body  # there is no such address
    else:
        told = answer.json["server"]
        assert not {"REMOTE_USER", "AUTH_TYPE", "HTTP_FASTCGI_USER", "HTTP_FASTCGI_AUTH"} & {*told}


def test_credentials_stay_with_apache_otherwise(get):
    assert "secret" not in json.dumps(get("http://uk.example/echo.php", "-u", "ann:secret").json)


@EACH
def test_a_proxy_header_is_no_setting(get, site):
    """M04: httpoxy."""
    seen = get(f"http://{site}.example/echo.php", "-H", "Proxy: http://evil.example").json
    assert "HTTP_PROXY" not in {**seen["server"], **seen["environment"]}


@pytest.fixture(scope="module")
def upload(host):
    """The checksum of a file of 5 MB on the host."""
    host.check_output("head -c 5000000 /dev/urandom > /tmp/large")
    return host.check_output("sha256sum /tmp/large").split()[0]


@EACH
def test_a_body_arrives_whole(get, upload, site):
    body = ["-H", "Content-Type: application/octet-stream", "--data-binary", "@/tmp/large"]
    assert get(f"http://{site}.example/echo.php", "-X", "PUT", *body).json["body_sha256"] == upload
    seen = get(f"http://{site}.example/echo.php", "-F", "field=value", "-F", "upload=@/tmp/large").json
    assert (seen["files"], seen["post"]) == ({"upload": upload}, {"field": "value"})


@EACH
def test_a_body_of_unknown_length_is_refused(get, upload, site):
    chunked = ["-H", "Transfer-Encoding: chunked", "--data-binary", "@/tmp/large"]
    assert get(f"http://{site}.example/echo.php", *chunked).status == 411


@EACH
@pytest.mark.parametrize("code", [201, 404, 500, 503])
def test_status_and_body_are_the_scripts(get, site, code):
    answer = get(f"http://{site}.example/status.php?code={code}")
    assert (answer.status, answer.body) == (code, "the script's own words")


@EACH
def test_a_long_answer_arrives_whole(host, site):
    received = host.check_output(
        f"curl -sS --connect-to ::127.0.0.1: http://{site}.example/big.php | sha256sum"
    )
    assert received.split()[0] == hashlib.sha256(b"x" * (20 << 20)).hexdigest()


@EACH
def test_what_is_flushed_is_sent(host, site):
    """Nothing waits for a full buffer: the second line comes two seconds after the first."""
    arrivals = host.check_output(
        f"curl -sSN --max-time 4 --connect-to ::127.0.0.1: http://{site}.example/stream.php |"
        " while read -r line; do echo $line $(date +%s.%N); done"
    )
    (first, start), (second, end) = (line.split() for line in arrivals.splitlines()[:2])
    assert (first, second) == ("first", "second")
    assert float(end) - float(start) > 1.5


# ---------------------------------------------------------------- clocks


def seconds_of(host, url):
    """How a request went that is given 30 s: its status and its seconds."""
    told = host.run(
        "curl -s -o /dev/null --max-time 30 --connect-to ::127.0.0.1: -w %s %s",
        "%{http_code} %{time_total}",
        url,
    ).stdout
    status, seconds = told.split()
    return int(status), float(seconds)


def test_fpm_ends_a_silent_script_before_apache_loses_patience(host):
    """TMO-02: 3 s and a heartbeat; Apache would wait for 5 s."""
    status, seconds = seconds_of(host, "http://de.example/sleep.php?seconds=25")
    assert (status, 3 <= seconds < 5) == (500, True)
    host.check_output("timeout 5 sh -c 'while pgrep --uid de --full sleep; do sleep 0.2; done'")


def test_apache_gives_a_silent_script_of_a_wrapper_up_and_leaves_it_at_work(host):
    """TMO-30: it has nobody to end it, and takes the place of others."""
    status, seconds = seconds_of(host, "http://fr.example/sleep.php?seconds=12")
    assert (status, 4 <= seconds < 8) == (500, True)
    said = host.check_output("tail -n 20 /var/log/apache2/error.log")
    assert re.search(r"aborted: idle timeout \(4 sec\)", said)


def test_the_limits_are_known_by_their_names(host, play, tmp_path):
    """timeout_order says what has no bound, and that it is so by choice."""
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
    assert re.search(r"uk\.example mod_fastcgi \+ fpm 30 15 35 5 45", words)
    assert re.search(r"fr\.example mod_fastcgi \+ wrapper 2 - - - 4 - - WRONG", words)
    assert "TMO-30" in words

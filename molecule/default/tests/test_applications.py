"""Real applications, used as a person uses them: over HTTP, through their own forms."""

from __future__ import annotations

import base64
import hmac
import html.parser
import json
import shlex
import time
import uuid
from typing import NamedTuple
from urllib.parse import urlencode, urljoin

import pytest

SITES = ("wiki", "links", "report", "classic", "pretty")


class Answer(NamedTuple):
    status: int
    url: str
    runs_as: str  # what examples/files/show-uid.php says; empty where PHP had no part in it
    body: str


class Form:
    """What a browser would send back: where to, and each field with the value that it starts with."""

    def __init__(self, action: str):
        self.action = action
        self.fields: dict[str, str] = {}


class FormReader(html.parser.HTMLParser):
    def __init__(self, page: str):
        super().__init__()
        self.forms: list[Form] = []
        self.textarea = self.select = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attribute = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(attribute.get("action", "")))
        elif self.forms:
            self.field(tag, attribute, self.forms[-1].fields)

    def field(self, tag, attribute, fields):
        name = attribute.get("name", "")
        kind = attribute.get("type", "text")
        if tag == "textarea":
            self.textarea = name
            fields[name] = ""
        elif tag == "select":
            self.select = name
        elif tag == "option" and self.select and ("selected" in attribute or self.select not in fields):
            fields[self.select] = attribute.get("value", "")
        elif tag == "input" and name and kind in ("checkbox", "radio"):
            if "checked" in attribute:
                fields[name] = attribute.get("value", "on")
        elif tag == "input" and name and kind not in ("submit", "image", "button", "reset", "file"):
            fields[name] = attribute.get("value", "")

    def handle_data(self, data):
        if self.textarea:
            self.forms[-1].fields[self.textarea] += data

    def handle_endtag(self, tag):
        if tag == "textarea":
            self.textarea = ""
        elif tag == "select":
            self.select = ""


class Browser:
    """curl on the host under test, for one site; with a cookie jar of its own."""

    def __init__(self, host, site):
        self.host = host
        self.site = site
        self.jar = f"/tmp/cookies-{uuid.uuid4().hex}"

    def get(self, path, *options):
        command = [
            *("curl", "--silent", "--show-error", "--location", "--max-time", "60"),
            *("--resolve", f"{self.site}.localhost:80:127.0.0.1"),
            *("--cookie", self.jar, "--cookie-jar", self.jar),
            *("--write-out", r"\n%{http_code}\n%{url_effective}\n%header{x-php-runs-as}"),
            *options,
            urljoin(f"http://{self.site}.localhost/", path),
        ]
        result = self.host.run(shlex.join(command))
        assert result.rc == 0, f"{self.site}{path}: {result.stderr}"
        body, status, url, runs_as = result.stdout.rsplit("\n", 3)
        return Answer(int(status), url, runs_as, body)

    def submit(self, page, values, button=None):
        """Fill in the form that has these fields, and send it with all of its other fields.

        The last such form: a page's header may hold a small one, which needs JavaScript.
        """
        forms = [form for form in FormReader(page.body).forms if values.keys() <= form.fields.keys()]
        assert forms, f"{page.status} {page.url} has no form with {', '.join(values)}:\n{page.body}"
        fields = forms[-1].fields | values | ({button: "1"} if button else {})
        return self.get(urljoin(page.url, forms[-1].action), "--data", urlencode(fields))


@pytest.fixture
def browse(host):
    """Open a browser at a site."""
    return lambda site: Browser(host, site)


def owners(host, *directories):
    """The users who own anything at or below these directories."""
    return set(host.check_output(f"find {shlex.join(directories)} -printf '%u\\n'").split())


def readable_to(host, user, path):
    return host.run(f"setpriv --reuid {user} --regid {user} --clear-groups cat {shlex.quote(path)}").rc == 0


# --- Every site ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("site", SITES)
def test_a_page_is_rendered_under_the_sites_own_user(host, browse, site):
    page = browse(site).get("/")
    assert page.status == 200, page
    assert page.runs_as == f"{host.user(site).uid} {site}"


def test_no_two_sites_share_a_uid(host):
    assert len({host.user(site).uid for site in SITES}) == len(SITES)


def test_apache_itself_has_no_php(host):
    modules = host.check_output("apache2ctl -M")
    assert "mpm_event_module" in modules
    assert "php_module" not in modules


@pytest.mark.parametrize("path", ["/dokuwiki/", "/dokuwiki/doku.php", "/shaarli/", "/shaarli/index.php"])
def test_the_packages_put_nothing_into_other_virtual_hosts(browse, path):
    page = browse("report").get(path)
    assert page.status == 404
    assert page.runs_as == ""


# --- wiki: DokuWiki -----------------------------------------------------------------------------------


@pytest.fixture
def member(browse):
    """A browser at the wiki, whose user has just registered and logged in."""
    browser = browse("wiki")
    login, password = f"tester{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    form = browser.get("/doku.php?do=register")
    who = {"login": login, "fullname": "A Tester", "email": f"{login}@wiki.example"}
    browser.submit(form, who | {"pass": password, "passchk": password})
    page = browser.submit(browser.get("/doku.php?id=start&do=login"), {"u": login, "p": password})
    assert login in page.body, f"not logged in:\n{page.body}"
    return browser


def test_the_wikis_start_page_is_dokuwikis(browse):
    page = browse("wiki").get("/")
    assert page.url.endswith("/doku.php?id=start")
    assert '<meta name="generator" content="DokuWiki"' in page.body


@pytest.mark.parametrize("path", ["/lib/exe/css.php", "/lib/exe/js.php", "/lib/exe/jquery.php", "/feed.php"])
def test_the_wiki_makes_its_styles_scripts_and_feed(host, browse, path):
    answer = browse("wiki").get(path)
    assert (answer.status, answer.runs_as) == (200, f"{host.user('wiki').uid} wiki")
    assert len(answer.body) > 500


def test_the_wikis_static_files_come_from_apache(browse):
    answer = browse("wiki").get("/lib/tpl/dokuwiki/images/logo.png", "--output", "/dev/null")
    assert (answer.status, answer.runs_as) == (200, "")


def test_a_visitor_may_not_edit_the_wiki(browse):
    page = browse("wiki").get("/doku.php?id=start&do=edit")
    assert not any("wikitext" in form.fields and "do" in form.fields for form in FormReader(page.body).forms)
    assert "do[save]" not in page.body


def test_a_page_of_the_wiki_is_written_and_read_again(host, browse, member):
    name, text = f"page{uuid.uuid4().hex[:8]}", f"words {uuid.uuid4().hex}"

    form = member.get(f"/doku.php?id={name}&do=edit")
    member.submit(form, {"wikitext": f"====== Written by a test ======\n\n{text}"}, button="do[save]")

    page = browse("wiki").get(f"/doku.php?id={name}")
    assert text in page.body
    assert "Written by a test</h1>" in page.body

    stored = host.file(f"/srv/wiki/data/pages/{name}.txt")
    assert text in stored.content_string
    assert (stored.user, stored.group) == ("wiki", "wiki")


def test_all_that_the_wiki_stores_is_its_users_alone(host, member):
    assert owners(host, "/srv/wiki") == {"wiki"}
    for reader in ("www-data", "links"):
        assert not readable_to(host, reader, "/srv/wiki/conf/users.auth.php")
        assert not readable_to(host, reader, "/srv/wiki/data/pages/start.txt")


@pytest.mark.parametrize(
    "path",
    [
        "/data/pages/start.txt",
        "/data/",
        "/conf/local.php",
        "/conf/users.auth.php",
        "/inc/init.php",
        "/inc/",
        "/bin/dwpage.php",
        "/vendor/autoload.php",
        "/srv/wiki/conf/users.auth.php",
        "/VERSION",
        "/.htaccess",
    ],
)
def test_the_wikis_inside_is_not_served(browse, path):
    page = browse("wiki").get(path)
    assert page.status in (403, 404)
    assert page.runs_as == ""


# --- links: Shaarli -----------------------------------------------------------------------------------

LINKS_ACCOUNT = {"login": "tester", "password": "only-for-this-test"}


@pytest.fixture
def collector(browse):
    """A browser at Shaarli, logged in. Whoever comes first takes Shaarli through its own installation."""
    browser = browse("links")
    page = browser.get("/")
    if page.url.endswith("/install"):
        account = {"setlogin": LINKS_ACCOUNT["login"], "setpassword": LINKS_ACCOUNT["password"]}
        page = browser.submit(page, account | {"title": "Links of a test"})
        assert page.url.endswith("/login"), page
    page = browser.submit(browser.get("/login"), LINKS_ACCOUNT)
    assert "/admin/logout" in page.body, f"not logged in:\n{page.body}"
    return browser


def test_a_link_is_added_and_shown_to_visitors(browse, collector):
    title = f"title {uuid.uuid4().hex}"
    address = f"http://{uuid.uuid4().hex}.example/"

    form = collector.get("/admin/shaare?" + urlencode({"post": address}))
    collector.submit(form, {"lf_url": address, "lf_title": title, "lf_tags": "tested"}, button="save_edit")

    page = browse("links").get("/")
    assert "Links of a test" in page.body
    assert title in page.body
    assert address in page.body


def test_shaarlis_routes_need_no_rewrite_rules(collector):
    assert collector.get("/tags/cloud").status == 200
    assert collector.get("/feed/atom").body.startswith("<?xml")


def json_web_token(secret):
    def part(content):
        return base64.urlsafe_b64encode(content).rstrip(b"=")

    head = part(b'{"typ":"JWT","alg":"HS512"}') + b"." + part(json.dumps({"iat": int(time.time())}).encode())
    return (head + b"." + part(hmac.digest(secret.encode(), head, "sha512"))).decode()


def test_the_rest_api_gets_its_token_in_the_authorization_header(browse, collector):
    settings = next(
        form.fields
        for form in FormReader(collector.get("/admin/configure").body).forms
        if "apiSecret" in form.fields
    )
    token = json_web_token(settings["apiSecret"])

    stranger = browse("links")
    assert stranger.get("/api/v1/info").status == 401
    answer = stranger.get("/api/v1/info", "--header", f"Authorization: Bearer {token}")
    assert answer.status == 200, answer
    assert json.loads(answer.body)["settings"]["title"] == "Links of a test"


def test_all_that_shaarli_stores_is_its_users_alone(host, collector):
    stores = ["/var/lib/shaarli/data", "/var/cache/shaarli/cache", "/var/cache/shaarli/pagecache"]
    assert owners(host, *stores, "/var/cache/shaarli/tmp") == {"links"}
    assert host.file("/var/lib/shaarli/data/datastore.php").exists
    for reader in ("www-data", "wiki"):
        assert not readable_to(host, reader, "/var/lib/shaarli/data/datastore.php")


@pytest.mark.parametrize(
    "path", ["/application/History.php", "/inc/rain.tpl.class.php", "/assets/", "/.htaccess"]
)
def test_shaarlis_inside_is_not_served(browse, path):
    answer = browse("links").get(path)
    assert answer.status in (403, 404)
    assert answer.runs_as == ""


# --- report, classic, pretty: sites of our own ----------------------------------------------------------


@pytest.mark.parametrize("site, sapi", [("report", "fpm-fcgi"), ("classic", "cgi-fcgi")])
def test_the_report_names_the_sites_user_and_settings(host, browse, site, sapi):
    report = json.loads(browse(site).get("/").body)
    assert (report["uid"], report["user"]) == (host.user(site).uid, site)
    assert report["sapi"] == sapi
    assert report["ini"]["max_execution_time"] == "120"
    assert report["server"]["SCRIPT_FILENAME"] == f"/var/www/sites/{site}/index.php"


def test_a_pretty_path_reaches_the_front_controller(browse):
    answer = json.loads(browse("pretty").get("/a/pretty/path?with=query").body)
    assert (answer["path"], answer["script"]) == ("/a/pretty/path", "/index.php")


def test_the_browsers_login_reaches_php(browse):
    answer = json.loads(browse("pretty").get("/", "--user", "somebody:secret").body)
    assert answer["login"] == "somebody"


def test_a_page_that_outlives_the_sites_limits_is_ended(browse):
    """sleep() takes no CPU time, so it is the wall clock's limit that ends it; others go on meanwhile."""
    start = time.monotonic()
    page = browse("pretty").get("/sleep/50")
    assert page.status in (500, 502, 503, 504)
    assert time.monotonic() - start < 30
    assert browse("pretty").get("/").status == 200

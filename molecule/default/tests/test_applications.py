"""Real applications, used as a person uses them: over HTTP, through their own forms."""

from __future__ import annotations

import base64
import hmac
import json
import shlex
import time
import uuid
from urllib.parse import urlencode

import pytest

SITES = ("wiki", "links", "report", "classic", "pretty")


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
    assert 'href="/start?do=edit"' in page.body
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
    assert not any("wikitext" in form.fields and "do" in form.fields for form in page.forms)
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


def test_the_wikis_pretty_urls_are_those_of_its_pages(browse, member):
    """It writes them itself, and who follows one gets there."""
    name, text = f"pretty:page{uuid.uuid4().hex[:8]}", f"words {uuid.uuid4().hex}"
    member.submit(member.get(f"/{name}?do=edit"), {"wikitext": text}, button="do[save]")

    visitor = browse("wiki")
    assert text in visitor.get(f"/{name}").body
    assert f'href="/{name}"' in visitor.get("/pretty:?do=index").body
    assert text in visitor.get(f"/_export/raw/{name}").body


def test_a_picture_is_uploaded_to_the_wiki_and_comes_back(host, browse, member):
    picture, name = "/usr/share/dokuwiki/lib/images/fileicons/32x32/pdf.png", f"p{uuid.uuid4().hex[:8]}.png"
    form = member.get("/start?do=media&tab_files=upload")
    member.submit(form, {"mediaid": name}, upload=picture)

    copy = f"/tmp/{name}"
    answer = browse("wiki").get(f"/_media/{name}", "--output", copy)
    assert (answer.status, answer.runs_as) == (200, f"{host.user('wiki').uid} wiki")
    assert host.file(copy).sha256sum == host.file(picture).sha256sum
    assert name in browse("wiki").get(f"/_detail/{name}").body
    assert host.file(f"/srv/wiki/data/media/{name}").user == "wiki"
    # under the name of a script it is not taken at all
    member.submit(form, {"mediaid": "evil.php"}, upload=picture)
    assert not host.file("/srv/wiki/data/media/evil.php").exists


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
        "/VERSION",
        "/.htaccess",
    ],
)
def test_the_wikis_inside_is_not_served(browse, path):
    page = browse("wiki").get(path)
    assert page.status == 403
    assert page.runs_as == ""


def test_the_path_of_a_file_on_the_host_is_the_name_of_a_page(browse):
    page = browse("wiki").get("/srv/wiki/conf/users.auth.php")
    assert "This topic does not exist yet" in page.body
    assert "passwordhash" not in page.body


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
        form.fields for form in collector.get("/admin/configure").forms if "apiSecret" in form.fields
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

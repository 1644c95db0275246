"""WordPress on fcgid: a copy of the tenant's own, installed, written and changed through its own pages."""

import json
import uuid

import pytest

ROOT = "/var/www/sites/blog"
PICTURE = "/usr/share/wordpress/wp-admin/images/wordpress-logo.png"
WHO = {"log": "writer", "pwd": "only-for-this-test"}


@pytest.fixture(scope="module")
def writer(browse):
    """A browser, logged in. Whoever comes first takes WordPress through its own installation."""
    browser = browse("blog")
    page = browser.get("/wp-admin/install.php")
    if "setup-config.php" in page.url or "setup-config.php" in page.body:
        form = browser.get("/wp-admin/setup-config.php?step=1")
        database = {"dbname": "blog", "uname": "blog", "pwd": "", "dbhost": "localhost", "prefix": "wp_"}
        page = browser.submit(form, database)
        assert "install.php" in page.body, page
        form = browser.get("/wp-admin/install.php?language=en_US")
        account = {"user_name": WHO["log"], "admin_password": WHO["pwd"], "admin_password2": WHO["pwd"]}
        page = browser.submit(
            form,
            {"weblog_title": "Blog of a test", "admin_email": "writer@blog.example", **account},
            button="pw_weak",
        )
        assert "wp-login.php" in page.body, page
    page = browser.submit(browser.get("/wp-login.php"), WHO)
    assert page.url.endswith("/wp-admin/"), page
    page = browser.submit(
        browser.get("/wp-admin/options-permalink.php"),
        {"selection": "custom", "permalink_structure": "/%year%/%postname%/"},
    )
    assert "You should update your <code>.htaccess</code> file now" in page.body  # no, it should not
    return browser


@pytest.fixture(scope="module")
def call(writer):
    """Use the REST API as WordPress's editor does."""
    nonce = writer.get("/wp-admin/admin-ajax.php?action=rest-nonce").body

    def call(path, *options):
        answer = writer.get(f"/wp-json/wp/v2/{path}", "--header", f"X-WP-Nonce: {nonce}", *options)
        assert answer.status in (200, 201), answer
        return json.loads(answer.body)

    return call


def test_it_goes_on_after_it_has_wished_for_rules_of_rewriting(host, browse, writer):
    assert browse("blog").get("/").status == 200
    assert host.file(f"{ROOT}/.htaccess").content_string == ""


def test_a_post_is_written_and_read_under_its_pretty_url(host, browse, call):
    title, text = f"title{uuid.uuid4().hex[:8]}", f"words {uuid.uuid4().hex}"
    fields = {"title": title, "content": text, "status": "publish"}
    post = call("posts", "--json", json.dumps(fields))
    assert post["link"].endswith(f"/{title}/")

    page = browse("blog").get(post["link"])
    assert (page.status, page.runs_as) == (200, f"{host.user('blog').uid} blog")
    assert text in page.body
    assert post["link"] in browse("blog").get("/").body
    assert text in browse("blog").get("/feed/").body


def test_a_comment_of_a_visitor_is_taken(browse, call):
    post = call("posts", "--json", json.dumps({"title": "open", "content": "x", "status": "publish"}))
    visitor, text = browse("blog"), f"comment {uuid.uuid4().hex}"
    visitor.submit(
        visitor.get(post["link"]), {"comment": text, "author": "A Visitor", "email": "visitor@blog.example"}
    )
    held = call("comments?status=hold&context=edit")
    assert text in [comment["content"]["raw"] for comment in held]


def test_what_is_not_there_is_wordpresss_own_404(host, browse, writer):
    page = browse("blog").get("/no/such/page/")
    assert (page.status, page.runs_as) == (404, f"{host.user('blog').uid} blog")
    assert "Blog of a test" in page.body


def test_a_picture_is_uploaded_and_apache_serves_it(host, browse, writer):
    """It makes the directory with the mode of the one above, and Apache may read what PHP has put there."""
    form = writer.get("/wp-admin/media-new.php?browser-uploader")
    page = writer.submit(form, {"post_id": "0"}, button="html-upload", **{"async-upload": PICTURE})
    assert page.url.endswith("/upload.php"), page

    newest = json.loads(browse("blog").get("/wp-json/wp/v2/media").body)[0]
    copy = f"/tmp/{uuid.uuid4().hex}"
    answer = browse("blog").get(newest["source_url"], "--output", copy)
    assert (answer.status, answer.runs_as) == (200, "")
    assert host.file(copy).sha256sum == host.file(PICTURE).sha256sum
    # made by PHP's own gd
    thumbnail = newest["media_details"]["sizes"]["thumbnail"]["source_url"]
    assert browse("blog").get(thumbnail, "--output", copy).status == 200


@pytest.mark.parametrize("name", ["evil.php", "deeper/evil.php"])
def test_php_among_the_uploads_does_not_run(host, browse, writer, name):
    path = f"{ROOT}/wp-content/uploads/{name}"
    host.check_output("echo '<?php echo 6 * 7;' | install -D -o blog -g blog -m 0644 /dev/stdin %s", path)
    answer = browse("blog").get(f"/wp-content/uploads/{name}")
    assert (answer.status, answer.runs_as) == (403, "")
    assert "42" not in answer.body


@pytest.mark.parametrize(
    "path", ["/wp-config.php", "/wp-config.php.bak", "/xmlrpc.php", "/wp-content/debug.log"]
)
def test_what_is_not_for_visitors_is_refused(host, browse, writer, path):
    host.check_output(f"cd {ROOT} && cp wp-config.php wp-config.php.bak && touch wp-content/debug.log")
    answer = browse("blog").get(path)
    assert (answer.status, answer.runs_as) == (403, "")


def test_a_plugins_own_htaccess_holds(browse, writer):
    """Akismet opens its styles and nothing else."""
    plugin = "/wp-content/plugins/akismet"
    assert browse("blog").get(f"{plugin}/_inc/akismet.css").status == 200
    assert browse("blog").get(f"{plugin}/akismet.php").status == 403
    assert browse("blog").get(f"{plugin}/readme.txt").status == 403


def test_all_that_it_stores_is_its_users_and_closed_to_its_neighbours(host, writer):
    pictures = host.check_output(f"find {ROOT}/wp-content/uploads -name 'wordpress-logo*.png'").split()
    reading = "setpriv --reuid knowledge --regid knowledge --clear-groups cat %s"
    for path in (f"{ROOT}/wp-config.php", *pictures):
        assert host.file(path).user == "blog"
        assert "Permission denied" in host.run(reading, path).stderr
    assert pictures

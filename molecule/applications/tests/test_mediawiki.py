"""MediaWiki behind a PHP-FPM of its own: the package's code, read-only, and a site that writes elsewhere."""

import re
import uuid

import pytest

PICTURE = "/usr/share/mediawiki/resources/assets/change-your-logo.svg"


@pytest.fixture(scope="module")
def keeper(browse):
    """A browser, logged in."""
    browser = browse("knowledge")
    form = browser.get("/wiki/Special:UserLogin")
    who = {"wpName": "Keeper", "wpPassword": "only-for-this-test"}
    page = browser.submit(form, who, button="wploginattempt")
    assert "Special:UserLogout" in page.body, page
    return browser


def test_the_main_page_has_a_pretty_url(host, browse):
    page = browse("knowledge").get("/")
    assert page.url.endswith("/wiki/Main_Page")
    assert (page.status, page.runs_as) == (200, f"{host.user('knowledge').uid} knowledge")
    assert '<meta name="generator" content="MediaWiki' in page.body


def test_a_page_is_written_and_read_under_its_pretty_url(browse, keeper):
    title, text = f"Written/{uuid.uuid4().hex[:8]}.php", f"words {uuid.uuid4().hex}"
    keeper.submit(keeper.get(f"/index.php?title={title}&action=edit"), {"wpTextbox1": text}, button="wpSave")

    visitor = browse("knowledge")
    assert text in visitor.get(f"/wiki/{title}").body
    assert f'href="/wiki/{title}"' in visitor.get("/wiki/Special:RecentChanges").body
    assert text in visitor.get(f"/index.php?title={title}&action=raw").body


@pytest.mark.parametrize(
    "path",
    [
        "/load.php?modules=startup&only=scripts",
        "/api.php?action=query&meta=siteinfo&format=json",
        "/rest.php/v1/page/Main_Page",
    ],
)
def test_its_other_entry_points_answer(host, browse, path):
    answer = browse("knowledge").get(path)
    assert (answer.status, answer.runs_as) == (200, f"{host.user('knowledge').uid} knowledge")


def test_a_page_that_is_not_there_is_mediawikis_own_404(browse):
    page = browse("knowledge").get("/wiki/Nowhere")
    assert page.status == 404
    assert "There is currently no text in this page" in page.body


def test_a_picture_is_uploaded_and_apache_serves_it(host, browse, keeper):
    name, copy = f"P{uuid.uuid4().hex[:8]}.png", f"/tmp/{uuid.uuid4().hex}"
    picture = "/usr/share/wordpress/wp-admin/images/wordpress-logo.png"
    form = keeper.get("/wiki/Special:Upload")
    page = keeper.submit(form, {"wpDestFile": name}, button="wpUpload", wpUploadFile=picture)
    assert page.url.endswith(f"/wiki/File:{name}"), page

    source = re.search(rf'href="(/images/[^"]*{name})"', page.body)[1]
    answer = browse("knowledge").get(source, "--output", copy)
    assert (answer.status, answer.runs_as) == (200, "")
    assert host.file(copy).sha256sum == host.file(picture).sha256sum
    stored = f"/var/lib/mediawiki{source}"
    assert host.file(stored).user == "knowledge"
    reading = "setpriv --reuid blog --regid blog --clear-groups cat %s"
    assert "Permission denied" in host.run(reading, stored).stderr


def test_php_among_the_pictures_does_not_run(host, browse):
    host.check_output(
        "echo '<?php echo 6 * 7;' | install -o knowledge -g knowledge -m 0644 /dev/stdin "
        "/var/lib/mediawiki/images/evil.php"
    )
    answer = browse("knowledge").get("/images/evil.php")
    assert (answer.status, answer.runs_as) == (403, "")


@pytest.mark.parametrize(
    "path",
    [
        "/LocalSettings.php",
        "/cache/",
        "/includes/",
        "/includes/WebStart.php",
        "/languages/Language.php",
        "/maintenance/install.php",
        "/maintenance/archives/",
        "/mw-config/index.php",
        "/vendor/autoload.php",
    ],
)
def test_its_inside_is_not_served(browse, path):
    """Most of these directories have a .htaccess with a directive that is not allowed."""
    answer = browse("knowledge").get(path)
    assert (answer.status, answer.runs_as) == (403, "")


def test_its_settings_are_its_own(host):
    reading = "setpriv --reuid %s --regid %s --clear-groups cat /etc/mediawiki/LocalSettings.php"
    for stranger in ("blog", "www-data"):
        assert host.run(reading, stranger, stranger).rc != 0

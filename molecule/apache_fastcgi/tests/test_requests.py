"""What a virtual host of the operator's own gives to PHP; the scenario conformance asks for all the rest."""

import json

import pytest

MEMBERS = "http://members.example"


@pytest.fixture(scope="module", params=["uk", "cgi"])
def site(request):
    """One with FPM behind its socket, and one with php-cgi."""
    return request.param


def url(site):
    return f"http://{site}.example"


# request, and what $_SERVER holds; ROOT: the document root, which ends in a slash; None: is not there (M02)
SERVER = [
    ("/echo.php", {"SCRIPT_FILENAME": "ROOT/echo.php", "DOCUMENT_ROOT": "ROOT/", "PATH_INFO": None}),
    ("//echo.php", {"SCRIPT_FILENAME": "ROOT/echo.php", "SCRIPT_NAME": "/echo.php"}),
    ("/echo.php/more?x", {"PATH_INFO": "/more", "PATH_TRANSLATED": "ROOT/more", "QUERY_STRING": "x"}),
]


@pytest.mark.parametrize(("path", "expected"), SERVER)
def test_what_a_script_is_told(get, site, path, expected):
    server = get(url(site) + path).json["server"]
    root = f"/var/www/sites/{site}"
    told = {key: value and value.replace("ROOT", root) for key, value in expected.items()}
    assert {key: server.get(key) for key in told} == told


def test_directory_index(get, site):
    assert get(f"{url(site)}/").body == f"index of {site}"


def test_apache_answers_for_what_is_missing_with_its_error_document(get, site):
    """Also where that is a PHP script (SEC-24, M07)."""
    answer = get(f"{url(site)}/missing.php")
    assert (answer.status, answer.body) == (404, "PHP's own page for 404 at /missing.php")


def test_apache_answers_for_what_is_missing_without_an_error_document(get):
    answer = get(f"{MEMBERS}/missing.php")
    assert answer.status == 404
    assert "Apache" in answer.body
    assert "File not found." not in answer.body


def test_what_the_virtual_host_denies_does_not_run(get, site):
    """SEC-22."""
    answer = get(f"{url(site)}/denied.php")
    assert answer.status == 403
    assert "denied to" not in answer.body


def test_a_picture_is_uploaded_and_apache_serves_it(host, get, site):
    """PHP may make a directory with the mode of the one above, and Apache may read what PHP moves there."""
    host.check_output("echo meow > /tmp/cat.png")
    taken = get(f"{url(site)}/upload.php", "-F", "picture=@/tmp/cat.png").json
    assert (taken["made"], taken["moved"]) == (True, True)
    answer = get(url(site) + taken["path"].removeprefix(f"/var/www/sites/{site}"))
    assert (answer.status, answer.body) == (200, "meow\n")
    neighbour = "runuser -u members -- cat %s"
    assert "Permission denied" in host.run(neighbour, taken["path"]).stderr


def test_credentials_stay_with_apache(get, site):
    """Without pass_authorization (SEC-29, M05)."""
    basic = get(f"{url(site)}/echo.php", "-u", "ann:secret").json
    bearer = get(f"{url(site)}/echo.php", "-H", "Authorization: Bearer token").json
    for word in ("secret", "PHP_AUTH_USER", "HTTP_AUTHORIZATION", "Bearer"):
        assert word not in json.dumps([basic, bearer])


def test_credentials_reach_the_script_where_wanted(get):
    """With pass_authorization (M05)."""
    server = get(f"{MEMBERS}/echo.php", "-u", "ann:secret").json["server"]
    assert (server["PHP_AUTH_USER"], server["PHP_AUTH_PW"]) == ("ann", "secret")
    server = get(f"{MEMBERS}/echo.php", "-H", "Authorization: Bearer token").json["server"]
    assert server["HTTP_AUTHORIZATION"] == "Bearer token"

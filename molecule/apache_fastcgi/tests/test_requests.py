"""What a virtual host of the operator's own gives to PHP; the scenario conformance asks for all the rest."""

import json

import pytest

UK = "http://uk.example"
MEMBERS = "http://members.example"
ROOT = "/var/www/sites/uk"

# request, and what $_SERVER holds; None: is not there (M02). The document root of the host ends in a slash.
SERVER = [
    ("/echo.php", {"SCRIPT_FILENAME": f"{ROOT}/echo.php", "DOCUMENT_ROOT": f"{ROOT}/", "PATH_INFO": None}),
    ("//echo.php", {"SCRIPT_FILENAME": f"{ROOT}/echo.php", "SCRIPT_NAME": "/echo.php"}),
    ("/echo.php/more?x", {"PATH_INFO": "/more", "PATH_TRANSLATED": f"{ROOT}/more", "QUERY_STRING": "x"}),
]


@pytest.mark.parametrize(("path", "expected"), SERVER)
def test_what_a_script_is_told(get, path, expected):
    server = get(UK + path).json["server"]
    assert {key: server.get(key) for key in expected} == expected


def test_directory_index(get):
    assert get(f"{UK}/").body == "index of uk"


def test_apache_answers_for_what_is_missing_with_its_error_document(get):
    """Also where that is a PHP script (SEC-24, M07)."""
    answer = get(f"{UK}/missing.php")
    assert (answer.status, answer.body) == (404, "PHP's own page for 404 at /missing.php")


def test_apache_answers_for_what_is_missing_without_an_error_document(get):
    answer = get(f"{MEMBERS}/missing.php")
    assert answer.status == 404
    assert "Apache" in answer.body
    assert "File not found." not in answer.body


def test_what_the_virtual_host_denies_does_not_run(get):
    """SEC-22."""
    answer = get(f"{UK}/denied.php")
    assert answer.status == 403
    assert "denied to" not in answer.body


def test_credentials_stay_with_apache(get):
    """Without pass_authorization (SEC-29, M05)."""
    basic = get(f"{UK}/echo.php", "-u", "ann:secret").json
    bearer = get(f"{UK}/echo.php", "-H", "Authorization: Bearer token").json
    for word in ("secret", "PHP_AUTH_USER", "HTTP_AUTHORIZATION", "Bearer"):
        assert word not in json.dumps([basic, bearer])


def test_credentials_reach_the_script_where_wanted(get):
    """With pass_authorization (M05)."""
    server = get(f"{MEMBERS}/echo.php", "-u", "ann:secret").json["server"]
    assert (server["PHP_AUTH_USER"], server["PHP_AUTH_PW"]) == ("ann", "secret")
    server = get(f"{MEMBERS}/echo.php", "-H", "Authorization: Bearer token").json["server"]
    assert server["HTTP_AUTHORIZATION"] == "Bearer token"

"""Which virtual host answers for which name, with TLS and without."""

import pytest

CERTIFICATE = ["--cacert", "/etc/ssl/certs/sites.pem"]


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("shop.example", "shop"),
        ("www.shop.example", "shop"),
        ("any.shop.example", "shop"),
        ("SHOP.example", "shop"),
        ("victim.example", "victim"),
        ("strict.example", "strict"),
        ("trusted.example", "trusted"),
        ("blog.example", "blog"),
        ("both.example", "both"),
    ],
)
def test_a_name_reaches_its_site(get, name, site):
    assert get(f"http://{name}/whoami.php").body == f"PHP of {site}"


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("name", ["unknown.example", "example", "127.0.0.1", "notshop.example"])
def test_an_unknown_name_reaches_no_site(get, scheme, name):
    answer = get(f"{scheme}://{name}/whoami.php", "--insecure")
    assert answer.status == 404
    assert "PHP of" not in answer.body


def test_a_request_without_a_name_reaches_no_site(host):
    request = r"printf 'GET /whoami.php HTTP/1.0\r\n\r\n'"
    answer = host.check_output(f"{request} | timeout 5 curl -s telnet://127.0.0.1:80")
    assert " 404 " in answer.splitlines()[0]


@pytest.mark.parametrize("name", ["secure.example", "both.example"])
def test_tls_with_the_given_certificate(get, name):
    seen = get(f"https://{name}/", *CERTIFICATE).json
    assert seen["ran_as"] == name.split(".")[0]
    assert (seen["server"]["HTTPS"], seen["server"]["SERVER_PORT"]) == ("on", "443")


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/", "/"),
        ("/a/b.php/c?x=1&y=%2F", "/a/b.php/c?x=1&y=%2F"),
        ("/a%20b/%C3%BC", "/a%20b/%c3%bc"),
        ("/.well-known/other", "/.well-known/other"),
        ("/whoami.php", "/whoami.php"),
        ("//evil.example/", "//evil.example/"),
    ],
)
@pytest.mark.parametrize("name", ["secure.example", "www.secure.example"])
def test_http_redirects_to_https_for_good(get, name, path, target):
    answer = get(f"http://{name}{path}")
    assert answer.status == 301
    location = answer.headers["location"]
    assert location.startswith("https://secure.example/")
    assert location.removeprefix("https://secure.example").lower() in (target.lower(), target.lower()[1:])


def test_a_redirect_takes_no_header_from_the_path(get):
    answer = get("http://secure.example/%0d%0aSet-Cookie:%20a=b")
    assert "set-cookie" not in answer.headers


def test_the_certificate_authority_is_answered_without_tls(host, get):
    directory = "/var/www/sites/secure/.well-known/acme-challenge"
    host.check_output(f"install -d -o secure -g www-data {directory} && echo proof > {directory}/token")
    answer = get("http://secure.example/.well-known/acme-challenge/token")
    assert (answer.status, answer.body) == (200, "proof\n")


@pytest.mark.parametrize("name", ["link", "script.php", "up/..%2f..%2fwhoami.php", ""])
def test_the_certificate_authority_alone_is_answered(host, get, name):
    """No link to a neighbour's files, no source, no listing (SEC-44)."""
    directory = "/var/www/sites/secure/.well-known/acme-challenge"
    host.check_output(f"install -d -o secure -g www-data {directory}/up")
    host.check_output(f"cp --preserve=all /var/www/sites/secure/whoami.php {directory}/script.php")
    host.check_output(f"ln -sfn /var/www/sites/victim/whoami.php {directory}/link")
    host.check_output(f"chown -h secure:secure {directory}/link")
    answer = get(f"http://secure.example/.well-known/acme-challenge/{name}")
    assert answer.status in (403, 404)
    assert "posix" not in answer.body


def test_without_the_redirect_both_serve(get):
    assert get("http://both.example/whoami.php").body == "PHP of both"
    assert "HTTPS" not in get("http://both.example/").json["server"]
    assert get("https://both.example/whoami.php", *CERTIFICATE).body == "PHP of both"

"""What a tenant may change with .htaccess: all of it stays within the site."""

import itertools

import pytest

numbers = itertools.count()

SOCKET = "unix:/run/fastcgi/victim.sock"
INTRUDER = '<?php echo "intruder ran as ", posix_getpwuid(posix_geteuid())["name"];'


@pytest.fixture
def page(host, get):
    """Ask for a file in a directory of a site that has the given .htaccess."""

    def page(site, htaccess, path="page.html", *options):
        name = f"try{next(numbers)}"
        directory = f"/var/www/sites/{site}/{name}"
        files = {
            ".htaccess": htaccess,
            "page.html": "page",
            "other.html": "other",
            "x.php": INTRUDER,
            "users": "ann:{SHA}nU4eI71bcnBGqeO0t9tXvY1u5oQ=",
        }
        steps = [f"install -d -o {site} -g www-data -m 2750 {directory}", f"cd {directory}"]
        steps += [f"printf %%s %s > {file}" for file in files]
        steps += [f"chown -R {site}:www-data ."]
        contents = [content.replace("HERE", directory) for content in files.values()]
        host.check_output(" && ".join(steps), *contents)  # one call, since there are many directories
        return get(f"http://{site}.example/{name}/{path}", *options)

    return page


HARMLESS = {
    "Require": ("Require all denied", 403),
    "AuthType": ("AuthType Basic\nAuthName x\nAuthUserFile HERE/users\nRequire valid-user", 401),
    "Redirect": ("Redirect /page /elsewhere\nRedirectMatch page /elsewhere", 302),
    "AddDefaultCharset": ("AddDefaultCharset utf-8", 200),
    "Files": ("<Files page.html>\nRequire all denied\n</Files>", 403),
}

FORBIDDEN = [
    "SetHandler server-status",
    "SetHandler server-info",
    "AddHandler cgi-script .html",
    "Action text/html /x.php",
    "AddType application/x-httpd-php .html",
    "ForceType application/x-httpd-php",
    "SetEnv PHP_ADMIN_VALUE open_basedir=/",
    "SetEnvIf Host . PHP_ADMIN_VALUE=open_basedir=/",
    "RewriteEngine on\nRewriteRule page other.html",
    "RewriteRule page other.html",
    "Options +ExecCGI",
    "Options +Includes",
    "Options +FollowSymLinks",
    "Options +Indexes",
    "php_value memory_limit 1G",
    "ErrorDocument 404 /x.php",
    "<If true>\nSetHandler server-status\n</If>",
    "<Files page.html>\nSetHandler server-status\n</Files>",
]

# SEC-01, the four vectors and one more; the path to ask for, and the file.
VECTORS = {
    "handler": ("x.php", f'<Files x.php>\nSetHandler "proxy:{SOCKET}|fcgi://localhost"\n</Files>'),
    "handler by name": ("x.php", '<Files x.php>\nSetHandler "proxy:fcgi://victim.fpm"\n</Files>'),
    "rewrite to a proxy": (
        "x",
        f'RewriteEngine on\nRewriteRule ^x$ "{SOCKET}|fcgi://localhost/var/www/sites/victim/whoami.php" [P]',
    ),
    "rewrite to a handler": (
        "x.php",
        f"RewriteEngine on\nRewriteRule ^x.php$ - [H=proxy:{SOCKET}|fcgi://localhost]",
    ),
    "settings": (
        "x.php",
        f'<If true>\nSetHandler "proxy:{SOCKET}|fcgi://localhost"\n</If>\n'
        'SetEnv PHP_ADMIN_VALUE "allow_url_include=1"\n'
        "SetEnv PHP_VALUE 'auto_prepend_file=\"data:text/plain,<?php echo 1;\"'\n"
        "ProxyFCGISetEnvIf true SCRIPT_FILENAME /var/www/sites/victim/whoami.php",
    ),
}


@pytest.mark.parametrize("htaccess", [text for text, status in HARMLESS.values()] + FORBIDDEN)
def test_none_does_not_even_look(page, htaccess):
    answer = page("strict", htaccess)
    assert (answer.status, answer.body) == (200, "page")
    assert answer.headers["content-type"] == "text/html"


@pytest.mark.parametrize("name", HARMLESS)
def test_safe_allows_what_concerns_access_and_names(page, name):
    htaccess, status = HARMLESS[name]
    assert page("shop", htaccess).status == status


def test_safe_allows_a_password(page):
    htaccess, _ = HARMLESS["AuthType"]
    assert page("shop", htaccess, "page.html", "-u", "ann:wrong").status == 401
    assert page("shop", htaccess, "page.html", "-u", "ann:pass").body == "page"


def test_safe_allows_another_index(page):
    assert page("shop", "DirectoryIndex other.html", "").body == "other"


@pytest.mark.parametrize("htaccess", FORBIDDEN)
def test_safe_refuses_the_rest_aloud(page, htaccess):
    """SEC-27, SEC-28, I09, I10: an error to see, not a setting quietly without effect."""
    assert page("shop", htaccess).status == 500


@pytest.mark.parametrize("vector", VECTORS)
def test_safe_reaches_no_neighbour(get, page, vector):
    """SEC-01, I04."""
    path, htaccess = VECTORS[vector]
    answer = page("shop", htaccess, path)
    assert answer.status == 500
    assert "victim" not in answer.body
    assert get("http://victim.example/whoami.php").body == "PHP of victim"


@pytest.mark.parametrize("vector", VECTORS)
def test_none_reaches_no_neighbour(page, vector):
    """SEC-01, I04."""
    path, htaccess = VECTORS[vector]
    answer = page("strict", htaccess, path)
    if path == "x.php":
        assert answer.body == "intruder ran as strict"
    else:
        assert answer.status == 404


def test_trusted_allows_to_rewrite(page):
    assert page("trusted", "RewriteEngine on\nRewriteRule page other.html").body == "other"


def test_trusted_runs_no_programs_and_follows_no_links(page):
    """SEC-27: what FileInfo allows is within Apache; this would not be."""
    for option in ("ExecCGI", "Includes", "FollowSymLinks"):
        assert page("trusted", f"Options +{option}").status == 500

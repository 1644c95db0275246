"""What a tenant may change with .htaccess: all of it stays within the site."""

import itertools
import re

import pytest

numbers = itertools.count()

SOCKET = "unix:/run/fastcgi/way/victim/victim.sock"
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
        steps = [f"install -d -o {site} -g {site} {directory}", f"cd {directory}"]
        steps += [f"printf %%s %s > {file}" for file in files]
        steps += [f"chown -R {site}:{site} ."]
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
    "FilesMatch": ('<FilesMatch "^page">\nRequire all denied\n</FilesMatch>', 403),
    "Limit": ("<LimitExcept GET>\nRequire all denied\n</LimitExcept>", 200),
    "IfModule": ("<IfModule mod_nothing.c>\nNothing on\n</IfModule>", 200),
    "IfVersion": ("<IfVersion >= 2.4>\nRequire all denied\n</IfVersion>", 403),
    "RequireNone": ("<RequireAll>\nRequire all granted\nRequire not ip 127.0.0.1\n</RequireAll>", 403),
    "Order": ("Order deny,allow\nDeny from all", 403),
    "Options": ("Options -Indexes -MultiViews +SymLinksIfOwnerMatch", 200),
    "Expires": ('ExpiresActive on\nExpiresByType text/html "access plus 1 day"', 200),
    "Header": ("Header set Cache-Control no-store\nFileETag None", 200),
    "ErrorDocument": ("ErrorDocument 403 /error.html\nRequire all denied", 403),
    "types": ("AddCharset utf-8 .txt\nAddEncoding gzip .svgz\nAddLanguage de .de\nDefaultLanguage en", 200),
    "CGIPassAuth": ("CGIPassAuth On", 200),
    "IndexIgnore": ("IndexIgnore *\nIndexOptions FancyIndexing\nDirectorySlash On", 200),
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
    "Satisfy any",
    "Options +Includes",
    "Options +FollowSymLinks",
    "Options All",
    "php_value memory_limit 1G",
    "<If true>\nSetHandler server-status\n</If>",
    # what needs no handler: each is in a class that AllowOverride could allow
    "<If true>\n</If>",
    "SessionCryptoPassphrase exec:/usr/bin/id",
    "SSLRequire true",
    "AuthBasicFake ann",
    "AuthLDAPURL ldap://127.0.0.1/",
    "LuaMapHandler page /tmp/x.lua",
    "<Macro x>\n</Macro>",
    "RequestHeader set Authorization x",
    "SetOutputFilter INCLUDES",
    "FilterDeclare x",
    "ProxyFCGISetEnvIf true PHP_VALUE x",
    # what only a file of root's may ask for: Apache would read it as itself (CVE-2026-24072)
    "Require expr \"file('/etc/passwd') =~ /root/\"",
    "Header set X-File expr=%{file:/etc/passwd}",
    "ErrorDocument 404 %{file:/etc/passwd}",
    "<Files page.html>\nRedirect 302 /%{file:/etc/passwd}\n</Files>",
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


@pytest.mark.parametrize("htaccess", [text for text in FORBIDDEN if "Rewrite" not in text])
def test_trusted_allows_nothing_more_than_that(page, htaccess):
    """SEC-27: among all that FileInfo would allow, some runs programs, and some outdoes the guards of PHP."""
    assert page("trusted", htaccess).status == 500


# By which names a tenant that may rewrite can try to reach its neighbour's PHP (SEC-01, SEC-05).
ADDRESSES = {
    "where it used to be": "unix:/run/fastcgi/victim.sock|fcgi://x",
    "where systemd made it": "unix:/run/fastcgi/bind/victim.sock|fcgi://x",
    "the link that root has": f"{SOCKET}|fcgi://x",
    "its worker": "fcgi://victim.fpm",
    "its worker for the ping": "fcgi://victim.fpm/fastcgi-ping/..",
    "its status": "unix:/run/fastcgi/status/victim.sock|fcgi://x",
}


@pytest.fixture
def stolen(page):
    """What the neighbour's PHP answers to a tenant that sends requests to an address, in both ways."""

    def stolen(address):
        rules = f'RewriteEngine on\nRewriteRule ^x.php$ - "[H=proxy:{address}]"\n'
        rules += f'RewriteRule ^x$ "{address}/var/www/sites/victim/whoami.php" [P]\n'
        return [page("trusted", rules, path) for path in ("x.php", "x")]

    return stolen


def test_trusted_could_reach_a_neighbour_whose_address_it_knew(host, stolen):
    """The tests below would find it."""
    address = host.check_output(f"realpath {SOCKET.removeprefix('unix:')}")
    by_handler, by_proxy = stolen(f"unix:{address}|fcgi://x")
    assert by_handler.body == "File not found.\n"  # the neighbour's PHP, which cannot see the file
    assert by_proxy.body == "PHP of victim"


@pytest.mark.parametrize("name", ADDRESSES)
def test_trusted_reaches_no_neighbour(stolen, name):
    """SEC-01, SEC-05, I04."""
    for answer in stolen(ADDRESSES[name]):
        assert answer.status in (500, 503)
        assert "PHP of victim" not in answer.body
        assert "File not found" not in answer.body


def test_trusted_tells_apart_no_names_below_the_sockets(page):
    """A test of mod_rewrite is Apache's: it may pass, and not look around."""
    rule = "RewriteEngine on\n{}\nRewriteRule page other.html"
    names = ("way/victim", "bind/victim.sock", "status/victim.sock", "victim.sock")
    tests = "\n".join(f"RewriteCond /run/fastcgi/{name} -{kind} [OR]" for name in names for kind in "dfhls")
    assert page("trusted", rule.format(f"{tests}\nRewriteCond /run/fastcgi/nothing -f")).body == "page"
    assert page("trusted", rule.format("RewriteCond /run/fastcgi -d")).body == "other"


def test_address_of_a_site_is_told_to_nobody(host, get):
    """Neither to its own PHP, nor by the kernel, which the sandbox lets it ask of the sockets there are."""
    script = "<?php phpinfo(); readfile('/proc/self/net/unix'); readfile('/proc/self/mountinfo');"
    host.check_output("printf %%s %s > /var/www/sites/trusted/see.php", script)
    host.check_output("chown trusted:www-data /var/www/sites/trusted/see.php")
    seen = get("http://trusted.example/see.php").body
    assert "/run/fastcgi/bind/victim.sock" in seen
    assert "secret-" not in seen
    for user in ("trusted", "www-data"):
        assert host.run(f"runuser -u {user} -- ls /run/fastcgi").rc != 0
        assert host.run(f"runuser -u {user} -- ls /run/fastcgi/bind").rc != 0
    told = host.check_output("systemctl show 'fastcgi-*'; cat /etc/systemd/system/fastcgi-*")
    assert not re.search("secret-[0-9a-f]", told)


def test_trusted_sets_no_settings_of_php(host, get):
    """SEC-02: not for this request, and not for later ones, which the same worker may get."""
    variables = "[E=SEEN:yes,E=PHP_VALUE:memory_limit=77M,E=PHP_ADMIN_VALUE:memory_limit=77M]"
    script = "<?php echo json_encode([getenv('SEEN'), getenv('PHP_VALUE'), ini_get('memory_limit')]);"
    host.check_output("printf %%s %s > /var/www/sites/trusted/limit.php", script)
    host.check_output("chown trusted:www-data /var/www/sites/trusted/limit.php")
    assert get("http://trusted.example/limit.php").json == [False, False, "128M"]
    host.check_output(
        "printf %%s %s > /var/www/sites/trusted/.htaccess",
        f"RewriteEngine on\nRewriteRule ^limit.php$ - {variables}",
    )
    try:
        assert get("http://trusted.example/limit.php").json == ["yes", False, "128M"]
    finally:
        host.check_output("rm /var/www/sites/trusted/.htaccess")
    for _ in range(5):
        assert get("http://trusted.example/limit.php").json == [False, False, "128M"]

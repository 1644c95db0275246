"""What a site serves, and what it keeps to itself."""

import pytest

SHOP = "http://shop.example"
ROOT = "/var/www/sites/shop"


def put(host, path, content="content", owner="shop"):
    """Make a file of a site, and the directory for it."""
    make = f"install -d -o {owner} -g {owner} $(dirname %s) && printf %%s %s > %s"
    host.check_output(f"{make} && chown {owner}:{owner} %s", path, content, path, path)


@pytest.mark.parametrize(
    ("uri", "query"),
    [
        ("/pretty/url", []),
        ("/pretty/url?x=1&y=a%20b", {"x": "1", "y": "a b"}),
        ("/missing.php?x=1", {"x": "1"}),
        ("/missing.php/more", []),
        ("/a%20b/%C3%BC", []),
    ],
)
def test_pretty_urls_reach_the_front_controller(get, uri, query):
    seen = get(f"http://blog.example{uri}").json
    assert (seen["ran_as"], seen["server"]["SCRIPT_NAME"]) == ("blog", "/index.php")
    assert (seen["server"]["REQUEST_URI"], seen["get"]) == (uri, query)


def test_a_form_reaches_the_front_controller(get):
    server = get("http://blog.example/pretty/url", "--data", "a=b").json["server"]
    assert (server["REQUEST_METHOD"], server["CONTENT_LENGTH"]) == ("POST", "3")


def test_files_come_before_the_front_controller(get):
    assert get("http://blog.example/assets/style.css").body == "p { color: teal; }\n"
    assert get("http://blog.example/whoami.php").body == "PHP of blog"


@pytest.mark.parametrize("path", ["/.env", "/x.php.bak", "/.git/config"])
def test_the_front_controller_opens_nothing(host, get, path):
    put(host, f"/srv/blog/public{path}", "secret", owner="blog")
    assert "secret" not in get(f"http://blog.example{path}").body


@pytest.fixture(scope="module")
def private(host):
    """Files of an application that are nobody's to see, and some with names like them."""
    paths = ("data/page.txt", "database.txt", "conf/local.php", "conf/local.txt", "dump.sql", "a/dump.sql")
    paths += ("up/evil.php", "up/2026/evil.php", "up/picture.txt")
    script = "<?php echo 'run';"
    host.check_output(
        "cd /srv/blog/public && for path in " + " ".join(paths) + "; do mkdir -p $(dirname $path); "
        "printf %%s %s > $path; chmod 0644 $path; done && chmod -R a+rX .",
        script,
    )
    yield
    host.check_output("cd /srv/blog/public && rm -r data database.txt conf dump.sql a up")


@pytest.mark.parametrize(
    "path",
    [
        *("data/page.txt", "data/", "data", "data/nothing", "%64ata/page.txt", "a/../data/page.txt"),
        *(
            "//data/page.txt",
            "conf/local.php",
            "conf/local.php/x",
            "dump.sql",
            "a/dump.sql",
            "a/b/nothing.sql",
        ),
        *("up/evil.php", "up/2026/evil.php", "up/2026/evil.php/x", "up/nothing.php"),
    ],
)
def test_denied_paths_are_refused_before_anything_looks_at_them(get, private, path):
    """SEC-26. Neither the file is shown or run, nor does the front controller answer."""
    assert get(f"http://blog.example/{path}").status == 403


@pytest.mark.parametrize("path", ["database.txt", "conf/local.txt", "up/picture.txt"])
def test_what_is_only_named_like_a_denied_path_is_served(get, private, path):
    assert get(f"http://blog.example/{path}").status == 200


@pytest.mark.parametrize(
    "rules",
    [
        "Require all granted\nAllow from all\n",
        "Require all denied\nSatisfy All\n",  # MediaWiki's own, with a directive that is not allowed
    ],
)
def test_denied_path_stays_so_whatever_htaccess_says(host, get, private, rules):
    host.check_output("printf %%s %s > /srv/blog/public/data/.htaccess", rules)
    assert get("http://blog.example/data/page.txt").status == 403


def test_without_a_front_controller_what_is_missing_is_missing(get):
    for path in ("/pretty/url", "/missing.php"):
        assert get(SHOP + path).status == 404


def test_a_directory_is_not_listed(get):
    answer = get(f"{SHOP}/assets/")
    assert answer.status in (403, 404)
    assert "style.css" not in answer.body


@pytest.mark.parametrize(
    "path",
    [
        "/.env",
        "/.git/config",
        "/.git/HEAD",
        "/.htpasswd",
        "/.htaccess.bak",
        "/.user.ini",
        "/sub/.svn/entries",
        "/sub/.env.local",
        "/.well-known/.htpasswd",
        "/.well-known-not/file",
        "/.well-known/.git/config",
    ],
)
def test_dotfiles_are_refused(host, get, path):
    """SEC-25."""
    put(host, ROOT + path)
    answer = get(SHOP + path)
    assert (answer.status, "content" in answer.body) == (403, False)


def test_the_directory_that_the_web_defines_is_served(host, get):
    put(host, f"{ROOT}/.well-known/security.txt")
    assert get(f"{SHOP}/.well-known/security.txt").body == "content"


@pytest.mark.parametrize(
    "target",
    [
        "/etc/passwd",
        "/var/www/sites/victim/whoami.php",
        "/var/www/sites/victim",
        "/var/log/apache2/access.log",
        "/",
    ],
)
def test_a_link_to_files_of_others_is_refused(host, get, target):
    """SEC-44."""
    host.check_output(f"ln -sfn {target} {ROOT}/link && chown -h shop:shop {ROOT}/link")
    for path in ("/link", "/link/", "/link/whoami.php", "/link/etc/passwd"):
        answer = get(SHOP + path)
        assert answer.status in (403, 404)
        assert "root:" not in answer.body


def test_a_link_to_own_files_is_followed(host, get):
    host.check_output(f"ln -sfn assets {ROOT}/own && chown -h shop:shop {ROOT}/own")
    assert get(f"{SHOP}/own/style.css").status == 200


@pytest.mark.parametrize("account", ["shop", "victim", "www-data"])
@pytest.mark.parametrize(
    "file",
    ["sites-available/shop.conf", "sites-enabled/shop.conf", "fastcgi/shop.conf", "fastcgi/victim.conf"],
)
def test_the_configuration_is_for_root_alone(host, account, file):
    """SEC-43: it tells which sockets there are."""
    assert host.file(f"/etc/apache2/{file}").exists
    reading = host.run(f"setpriv --reuid={account} --regid={account} --init-groups cat /etc/apache2/{file}")
    assert (reading.rc, reading.stdout) == (1, "")

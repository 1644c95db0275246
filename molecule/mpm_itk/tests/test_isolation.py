"""Each site is Apache under another account: what it can do, and what it sees of its neighbour."""

import pytest

NEIGHBOUR = "/srv/de/htdocs"


def test_a_process_that_serves_a_site_has_no_privilege_left(host, run_as):
    seen = run_as(
        "uk",
        "echo json_encode(["
        "posix_getuid(), posix_geteuid(), posix_getgid(), posix_getgroups(),"
        "preg_match_all('/^Cap(Prm|Eff|Inh|Amb):\\t0+$/m', file_get_contents('/proc/self/status')),"
        "posix_setuid(0), posix_setuid(33)]);",
    ).json
    uk = host.user("uk")
    assert seen == [uk.uid, uk.uid, uk.gid, [uk.gid], 4, False, False]


@pytest.mark.parametrize(
    "path",
    [
        f"{NEIGHBOUR}/secret.php",
        "/var/lib/fastcgi/de/sessions",
        "/var/log/fastcgi/de",
        "/etc/apache2/fastcgi/de.conf",
        "/etc/shadow",
    ],
)
def test_a_neighbours_files_cannot_be_read(host, get, run_as, path):
    """SEC-07: nor included from the opcode cache, which all sites share, once the neighbour has used them."""
    secret = f"{NEIGHBOUR}/secret.php"
    host.check_output(f"printf '<?php return \"secret\";' > {secret}")
    host.check_output(f"chown de:de {secret} && chmod 644 {secret} && touch --date '1 minute ago' {secret}")
    assert run_as("de", f"echo include '{secret}';").body == "secret"
    code = (
        f"echo json_encode([@file_get_contents('{path}'), @scandir('{path}'),"
        f"is_dir('{path}') ? false : @include '{path}']);"
    )
    assert run_as("uk", code).json == [False, False, False]


def test_nobody_lists_or_empties_the_cache(run_as):
    code = "echo json_encode([@opcache_get_status(), @opcache_reset()]);"
    assert run_as("uk", code).json == [False, False]


def test_nor_are_they_served_as_plain_files(host, get):
    """Apache itself is the site's user then, also where a link leads elsewhere."""
    host.check_output(f"ln -sfn {NEIGHBOUR}/style.css /var/www/sites/uk/link.css")
    host.check_output("chown -h uk:www-data /var/www/sites/uk/link.css")
    assert get("http://uk.example/link.css").status == 403


def test_plain_files_need_be_readable_for_the_site_alone(host, get):
    host.check_output("echo mine > /var/www/sites/uk/mine.txt")
    host.check_output("chown uk:uk /var/www/sites/uk/mine.txt && chmod 600 /var/www/sites/uk/mine.txt")
    assert get("http://uk.example/mine.txt").body == "mine\n"


# who says it
HTACCESS = [
    ("uk", "php_value memory_limit 1G"),
    ("uk", "php_flag display_errors on"),
    ("uk", "php_admin_value open_basedir /"),
    ("uk", "SetEnv X y"),
    ("uk", "AddType application/x-httpd-php .html"),
    ("de", "php_admin_value open_basedir /"),
    ("de", "AssignUserID uk uk"),
    ("de", "php_value memory_limit 77M"),
]


@pytest.mark.parametrize(("name", "line"), HTACCESS)
def test_what_no_htaccess_may_say(host, get, name, line):
    """SEC-01: mod_php would let it make settings, and a site's own settings are in the list of sites."""
    root = {"uk": "/var/www/sites/uk", "de": NEIGHBOUR}[name]
    host.check_output(f"install -d -o {name} -g {name} {root}/try")
    host.check_output(f"cp --preserve=all {root}/settings.php {root}/try/")
    host.check_output(f"printf '%%s\\n' %s > {root}/try/.htaccess", line)
    host.check_output(f"chown {name}:{name} {root}/try/.htaccess")
    assert get(f"http://{name}.example/try/settings.php").status == 500


def test_uid_is_right_on_a_connection_that_is_kept(host):
    """The second request is for another site: MPM ITK ends the connection, and curl makes a new one."""
    urls = "http://uk.example/whoami.php http://de.example/whoami.php http://uk.example/whoami.php"
    told = host.check_output(f"curl -sS --connect-to ::127.0.0.1: -w '|' {urls}")
    assert told == "PHP of uk|PHP of de|PHP of uk|"

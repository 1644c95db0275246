"""The list of sites: what is accepted and what follows from it, what is refused and in which words."""

import copy
import re
import time

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils import host_secret
from ansible_collections.webhosting.fastcgi.plugins.module_utils import site_engines as engines
from ansible_collections.webhosting.fastcgi.plugins.module_utils import sites as model

LONGEST_LABEL = "a" * 63
LONGEST_HOST = ".".join([LONGEST_LABEL] * 3 + ["a" * 61])
LONGEST_SOCKET = "/run/fastcgi/" + "s" * 82
MISSING = object()


def site(name="alpha", **fields):
    """A site that is good but for the fields under test; MISSING takes one out."""
    host = f"{name}.example" if re.fullmatch("[A-Za-z0-9-]+", str(name)) else "host.example"
    whole = {"name": name, "server_name": host, **fields}
    return {field: value for field, value in whole.items() if value is not MISSING}


def resolved(*given, defaults=None):
    return model.resolve(list(given), defaults)


def errors_of(given, defaults=None, master="own"):
    with pytest.raises(model.InvalidSites) as caught:
        model.resolve(given, defaults, master)
    return caught.value.errors


def nested(value, depth):
    for _ in range(depth):
        value = [value]
    return value


# ---------------------------------------------------------------- what is accepted

# field, value given, value resolved
SUCCESS = [
    ("name", "a", "a"),
    ("name", "a" * 31, "a" * 31),
    ("name", "a-1--b", "a-1--b"),
    ("name", "globals", "globals"),
    ("user", "_uk-1", "_uk-1"),
    ("user", "u" * 31, "u" * 31),
    ("user", "none1", "none1"),
    ("group", "web_1", "web_1"),
    ("server_name", "Some-Host.EXAMPLE", "some-host.example"),
    ("server_name", "localhost", "localhost"),
    ("server_name", "xn--bcher-kva.example", "xn--bcher-kva.example"),
    ("server_name", LONGEST_HOST, LONGEST_HOST),
    ("server_aliases", ["*.Some.example", "b.example"], ["*.some.example", "b.example"]),
    ("server_aliases", ("b.example",), ["b.example"]),
    ("document_root", "/srv/www/a_b/c+d@e-f.g", "/srv/www/a_b/c+d@e-f.g"),
    ("document_root", "/home/uk/public", "/home/uk/public"),
    ("document_root", "/etcetera/site", "/etcetera/site"),
    ("writable_paths", ["/srv/data/a", "/srv/data/b"], ["/srv/data/a", "/srv/data/b"]),
    ("engine", "proxy_fcgi", "proxy_fcgi"),
    ("engine", "fcgid", "fcgid"),
    ("process_manager", "fpm", "fpm"),
    ("php_version", "8.2", "8.2"),
    ("php_version", "8.10", "8.10"),
    (
        "php_value",
        {"memory_limit": "256M", "a.b_c.d": "E_mail"},
        {"memory_limit": "256M", "a.b_c.d": "E_mail"},
    ),
    ("php_value", {"precision": 14, "html_errors": False}, {"precision": "14", "html_errors": "off"}),
    ("php_value", {"assert.active": True, "opcache.x": -1}, {"assert.active": "on", "opcache.x": "-1"}),
    ("php_value", {"error_reporting": "22527"}, {"error_reporting": "22527"}),
    ("php_value", {"include_path": ".:/usr/share/php"}, {"include_path": ".:/usr/share/php"}),
    ("php_value", {"mbstring.language": ""}, {"mbstring.language": ""}),
    ("htaccess", "none", "none"),
    ("htaccess", "trusted", "trusted"),
    ("front_controller", "index.php", "index.php"),
    (
        "deny_paths",
        ["data/", "conf/local.php", "*.sql.gz", "up/*.php"],
        ["data", "conf/local.php", "*.sql.gz", "up/*.php"],
    ),
    ("pass_authorization", True, True),
    ("share_account", True, True),
    ("socket", LONGEST_SOCKET, LONGEST_SOCKET),
    ("extra_directives", ['  Header set X-A "b c"  '], ['Header set X-A "b c"']),
    ("extra_directives", ["ErrorDocument 404 /virtualhost.html"], ["ErrorDocument 404 /virtualhost.html"]),
    ("limits", {"memory_max": "1G"}, {"tasks_max": 256, "memory_max": "1G"}),
    ("limits", {"cpu_quota": "200%", "tasks_max": "64"}, {"cpu_quota": "200%", "tasks_max": 64}),
    (
        "tls",
        {"certificate": "/etc/tls/a.pem", "key": "/etc/tls/a.key"},
        {"certificate": "/etc/tls/a.pem", "key": "/etc/tls/a.key", "redirect": True},
    ),
    (
        "tls",
        {"certificate": "/c", "key": "/k", "redirect": False},
        {"certificate": "/c", "key": "/k", "redirect": False},
    ),
]


@pytest.mark.parametrize(("field", "given", "expected"), SUCCESS)
def test_good_value_is_taken(field, given, expected):
    assert resolved(site(**{field: given}))[0][field] == expected


@pytest.mark.parametrize("field", [field for field in model.DEFAULTS if field not in ("pm", "wrapper_root")])
def test_null_means_the_default(field):
    assert resolved(site(**{field: None})) == resolved(site())


def test_every_field_has_a_row_of_each_kind():
    succeeded = {field for field, _, _ in SUCCESS} | {"state", "timeout", "pm", "php_admin_value"}
    failed = {row[0].split(".")[0] for row in FAILURE}
    # the one that stands in the defaults alone has tests of its own, and so has that of one engine
    apart = {"wrapper_root", "fastcgi_mapping"}
    succeeded, failed = succeeded | apart, failed | apart
    assert succeeded == failed == {*model.FIELDS, *model.TABLES}


# ---------------------------------------------------------------- what is refused

CONTROL = "contains a control character or a line break"
EVALUATED = "contains a character that ini files evaluate (one of \" ' $ \\ ` { } [ ])"
NO_SETTING = "is not the name of a PHP setting"
HOLDS_MORE = "holds more than one site's files; name a directory inside it"
LEAVES = "would leave the site's own virtual host"
# where the message says the fault is, value given, value as shown, reason
FAILURE = [
    # name
    ("name", "A", '"A"', "is not a site's name ([a-z][a-z0-9-]{0,30})"),
    ("name", "", '""', "is not a site's name"),
    ("name", "1a", '"1a"', "is not a site's name"),
    ("name", "a.b", '"a.b"', "is not a site's name"),
    ("name", "a_b", '"a_b"', "is not a site's name"),
    ("name", "../a", '"../a"', "is not a site's name"),
    ("name", "é", '"\\xe9"', "is not a site's name"),
    ("name", "[global]", '"[global]"', "is not a site's name"),
    ("name", "global", '"global"', "is FPM's own section"),
    ("name", "a" * 32, '"' + "a" * 32 + '"', "has 32 characters; at most 31 are allowed"),
    ("name", "a\n", '"a\\n"', CONTROL),
    ("name", "a\n[global]", '"a\\n[global]"', CONTROL),
    ("name", "a\0", '"a\\x00"', CONTROL),
    ("name", 5, "5", "is not a string"),
    ("name", True, "True", "is not a string"),
    ("name", ["a"], "['a']", "is not a string"),
    # state
    ("state", "gone", '"gone"', "is not one of: present, absent"),
    ("state", "Absent", '"Absent"', "is not one of: present, absent"),
    ("state", False, "False", "is not one of: present, absent"),
    ("state", ["absent"], "['absent']", "is not one of: present, absent"),
    # user and group
    ("user", "root", '"root"', "is the superuser; give the site an account of its own"),
    ("user", "www-data", '"www-data"', "is Apache's own account; give the site an account of its own"),
    ("user", "nobody", '"nobody"', "belongs to the system"),
    ("user", "none", '"none"', "is a truth value to FPM"),
    ("user", "on", '"on"', "is a truth value to FPM"),
    ("user", "Root", '"Root"', "is not an account's name ([a-z_][a-z0-9_-]*)"),
    ("user", "0", '"0"', "is not an account's name"),
    ("user", "-u", '"-u"', "is not an account's name"),
    ("user", "u$", '"u$"', "is not an account's name"),
    ("user", "%i", '"%i"', "is not an account's name"),
    ("user", "u v", '"u v"', "is not an account's name"),
    ("user", "u" * 32, '"' + "u" * 32 + '"', "has 32 characters; at most 31 are allowed"),
    ("user", "u\nUser=root", '"u\\nUser=root"', CONTROL),
    ("user", 0, "0", "is not a string"),
    ("user", False, "False", "is not a string"),
    ("group", "www-data", '"www-data"', "is Apache's own account"),
    ("group", "root", '"root"', "is the superuser"),
    ("group", "docker", '"docker"', "belongs to the system"),
    ("group", "null", '"null"', "is a truth value to FPM"),
    ("group", {"gid": 0}, "{'gid': 0}", "is not a string"),
    ("share_account", "yes", '"yes"', "is not true or false"),
    ("share_account", 1, "1", "is not true or false"),
    # host names
    ("server_name", "", '""', "is not a host name"),
    ("server_name", "*.a.example", '"*.a.example"', "is not a host name"),
    ("server_name", "a.example.", '"a.example."', "is not a host name"),
    ("server_name", ".a.example", '".a.example"', "is not a host name"),
    ("server_name", "a..example", '"a..example"', "is not a host name"),
    ("server_name", "-a.example", '"-a.example"', "is not a host name"),
    ("server_name", "a-.example", '"a-.example"', "is not a host name"),
    ("server_name", "a_b.example", '"a_b.example"', "is not a host name"),
    ("server_name", "a.example:80", '"a.example:80"', "is not a host name"),
    ("server_name", "a.example b.example", '"a.example b.example"', "is not a host name"),
    ("server_name", "%{HTTP_HOST}", '"%{HTTP_HOST}"', "is not a host name"),
    ("server_name", "${HOST}", '"${HOST}"', "is not a host name"),
    ("server_name", 'a"', '"a""', "is not a host name"),
    ("server_name", "a\\", '"a\\\\"', "is not a host name"),
    ("server_name", "</VirtualHost>", '"</VirtualHost>"', "is not a host name"),
    ("server_name", "bücher.example", '"b\\xfccher.example"', "is not a host name"),
    ("server_name", "\u212aelvin.example", '"\\u212aelvin.example"', "is not a host name"),
    ("server_name", "a\u0661.example", '"a\\u0661.example"', "is not a host name"),
    ("server_name", "a" * 64 + ".example", "a" * 64, "is not a host name"),
    ("server_name", LONGEST_HOST + "a", "a" * 63, "is not a host name"),
    ("server_name", "a\u2028b", '"a\\u2028b"', CONTROL),
    ("server_name", "a\u0085b", '"a\\x85b"', CONTROL),
    ("server_name", "a.example\n", '"a.example\\n"', CONTROL),
    ("server_name", "a.example\r", '"a.example\\r"', CONTROL),
    ("server_name", "a\tb", '"a\\tb"', CONTROL),
    ("server_name", "a\u202eb", '"a\\u202eb"', CONTROL),
    ("server_name", "\ud800", '"\\ud800"', CONTROL),
    ("server_name", 1.5, "1.5", "is not a string"),
    ("server_name", ["a.example"], "['a.example']", "is not a string"),
    ("server_aliases", "b.example", '"b.example"', "is not a list of host names"),
    ("server_aliases", {"b": 1}, "{'b': 1}", "is not a list of host names"),
    ("server_aliases", ["b.example", 7], "7", "is not a string"),
    ("server_aliases", [None], "None", "is not a string"),
    ("server_aliases", [["b.example"]], "['b.example']", "is not a string"),
    ("server_aliases", ["*"], '"*"', "is not a host name"),
    ("server_aliases", ["b.*.example"], '"b.*.example"', "is not a host name"),
    ("server_aliases", ["*.*.example"], '"*.example"', "is not a host name"),
    ("server_aliases", ["*.b.example\nx"], '"*.b.example\\nx"', CONTROL),
    # directories
    ("document_root", "srv/a", '"srv/a"', "is not an absolute path"),
    ("document_root", "/", '"/"', "is not an absolute path"),
    ("document_root", "", '""', "is not an absolute path"),
    ("document_root", "/srv/a/", '"/srv/a/"', "is not an absolute path"),
    ("document_root", "/srv//a", '"/srv//a"', "is not an absolute path"),
    ("document_root", "/srv/../etc", '"/srv/../etc"', "none that begins with a dot"),
    ("document_root", "/srv/.a", '"/srv/.a"', "none that begins with a dot"),
    ("document_root", "/srv/a b", '"/srv/a b"', "is not an absolute path"),
    ("document_root", "/srv/a:/etc", '"/srv/a:/etc"', "is not an absolute path"),
    ("document_root", "/srv/%h", '"/srv/%h"', "is not an absolute path"),
    ("document_root", "/srv/${A}", '"/srv/${A}"', "is not an absolute path"),
    ("document_root", '/srv/a"', '"/srv/a""', "is not an absolute path"),
    ("document_root", "/srv/a\\", '"/srv/a\\\\"', "is not an absolute path"),
    ("document_root", "/srv/é", '"/srv/\\xe9"', "is not an absolute path"),
    ("document_root", "/srv/a\n", '"/srv/a\\n"', CONTROL),
    ("document_root", "/srv/a\0", '"/srv/a\\x00"', CONTROL),
    ("document_root", "/etc", '"/etc"', "lies in /etc, where no site can have its files"),
    ("document_root", "/etc/site", '"/etc/site"', "lies in /etc"),
    ("document_root", "/root/site", '"/root/site"', "lies in /root"),
    ("document_root", "/var/tmp/a", '"/var/tmp/a"', "lies in /var/tmp"),
    ("document_root", "/var/lib/fastcgi/b/tmp", '"/var/lib/fastcgi/b/tmp"', "lies in /var/lib/f"),
    ("document_root", "/var/www", '"/var/www"', HOLDS_MORE),
    ("document_root", "/var/www/sites", '"/var/www/sites"', HOLDS_MORE),
    ("document_root", "/home", '"/home"', HOLDS_MORE),
    ("document_root", "/usr", '"/usr"', HOLDS_MORE),
    ("document_root", 1, "1", "is not a string"),
    ("writable_paths", "/srv/a", '"/srv/a"', "is not a list of directories"),
    ("writable_paths", ["/srv/a", "/proc/1"], '"/proc/1"', "lies in /proc"),
    ("writable_paths", ["/var/log/fastcgi/b"], '"/var/log/fastcgi/b"', "lies in /var/log/fastcgi"),
    ("writable_paths", ["/srv/a /etc"], '"/srv/a /etc"', "is not an absolute path"),
    ("writable_paths", [["/srv/a"]], "['/srv/a']", "is not a string"),
    # the socket
    ("socket", "/srv/a.sock", '"/srv/a.sock"', "is not in a directory below /run (SEC-10)"),
    ("socket", "/run/a.sock", '"/run/a.sock"', "is not in a directory below /run (SEC-10)"),
    ("socket", "/running/a/b", '"/running/a/b"', "is not in a directory below /run (SEC-10)"),
    ("socket", "/run/fastcgi/bind/a", '"/run/fastcgi/bind/a"', "where systemd makes the sockets"),
    ("socket", "/run/fastcgi/status/a", '"/run/fastcgi/status/a"', "where the sockets of FPM's status are"),
    ("socket", "/run/php/a.sock", '"/run/php/a.sock"', "lies in /run/php, which Apache's account can"),
    ("socket", "/run/lock/a.sock", '"/run/lock/a.sock"', "lies in /run/lock, which everybody can"),
    ("socket", "/run/user/1000/a", '"/run/user/1000/a"', "lies in /run/user"),
    ("socket", "/run/systemd/notify", '"/run/systemd/notify"', "lies in /run/systemd"),
    ("socket", LONGEST_SOCKET + "s", LONGEST_SOCKET + "s", "is 96 bytes long; Apache takes at most 95"),
    ("socket", "/run/a/b|fcgi://x", '"/run/a/b|fcgi://x"', "is not an absolute path"),
    ("socket", "/run/a/../php/b", '"/run/a/../php/b"', "is not an absolute path"),
    ("socket", "/run/a/b\x1f", '"/run/a/b\\x1f"', CONTROL),
    ("socket", 9000, "9000", "is not a string"),
    # choices
    ("engine", "cgi", '"cgi"', "is not one of: proxy_fcgi"),
    ("engine", {}, "{}", "is not one of: proxy_fcgi"),
    ("process_manager", "FPM", '"FPM"', "is not one of: fpm"),
    ("htaccess", "all", '"all"', "is not one of: none, safe, trusted"),
    ("htaccess", True, "True", "is not one of: none, safe, trusted"),
    ("php_version", 8.2, "8.2", "is not a string"),
    ("php_version", "8", '"8"', 'is not a PHP version such as "8.2" (in quotes)'),
    ("php_version", "8.2.1", '"8.2.1"', "has 5 characters; at most 4 are allowed"),
    ("php_version", "8./x", '"8./x"', "is not a PHP version"),
    ("front_controller", "../a.php", '"../a.php"', "is not the name of a PHP file"),
    ("front_controller", "a.html", '"a.html"', "is not the name of a PHP file"),
    ("front_controller", "a b.php", '"a b.php"', "is not the name of a PHP file"),
    ("front_controller", ["a.php"], "['a.php']", "is not a string"),
    ("deny_paths", "data", '"data"', "is not a list of paths below the document root"),
    ("deny_paths", ["/data"], '"/data"', "is not a path below the document root"),
    ("deny_paths", [""], '""', "is not a path below the document root"),
    ("deny_paths", ["a/../b"], '"a/../b"', "is not a path below the document root"),
    ("deny_paths", ["a//b"], '"a//b"', "is not a path below the document root"),
    ("deny_paths", ["*"], '"*"', "is not a path below the document root"),
    ("deny_paths", ["*.sql/b"], '"*.sql/b"', "is not a path below the document root"),
    ("deny_paths", ["a b"], '"a b"', "is not a path below the document root"),
    ("deny_paths", [".git"], '".git"', "is not a path below the document root"),
    ("pass_authorization", "on", '"on"', "is not true or false"),
    ("pass_authorization", 0, "0", "is not true or false"),
    # clocks
    ("timeout", 300, "300", "is not a dictionary"),
    ("timeout", [300], "[300]", "is not a dictionary"),
    ("timeout", {5: 6}, "the key 5", "is not a string"),
    ("timeout.max_execution_time", "5x", '"5x"', "is not a whole number of seconds"),
    ("timeout.max_execution_time", "5s", '"5s"', "is not a whole number of seconds"),
    ("timeout.max_execution_time", "", '""', "is not a whole number of seconds"),
    ("timeout.max_execution_time", " 5", '" 5"', "is not a whole number of seconds"),
    ("timeout.max_execution_time", "5\n", '"5\\n"', "is not a whole number of seconds"),
    ("timeout.max_execution_time", "\u0665", '"\\u0665"', "is not a whole number of seconds"),
    ("timeout.max_execution_time", True, "True", "is not a whole number of seconds"),
    ("timeout.max_execution_time", 5.0, "5.0", "is not a whole number of seconds"),
    ("timeout.max_execution_time", float("nan"), "nan", "is not a whole number of seconds"),
    ("timeout.max_execution_time", None, "None", "is not a whole number of seconds"),
    ("timeout.max_execution_time", [5], "[5]", "is not a whole number of seconds"),
    ("timeout.max_execution_time", 0, "0", "is not between 1 and 604800 seconds"),
    ("timeout.max_execution_time", -1, "-1", "is not between 1 and 604800 seconds"),
    ("timeout.max_execution_time", 10**30, "1" + "0" * 30, "is not between 1 and 604800 seconds"),
    ("timeout.max_execution_time", "9" * 12, "9" * 12, "is not between 1 and 604800 seconds"),
    ("timeout.max_execution_time", "9" * 13, "9" * 13, "is not a whole number of seconds"),
    ("timeout.proxy_timeout", 604801, "604801", "is not between 1 and 604800 seconds"),
    ("timeout.heartbeat", 5, "", "there is no such key; the keys are: max_execution_time, "),
    ("timeout.proxy_timeout", 34, "34 s", "is shorter than request_terminate_timeout plus"),
    ("timeout.request_terminate_timeout", 30, "30 s", "is not longer than max_execution_time (30 s)"),
    # the pool
    ("pm", "static", '"static"', "is not a dictionary"),
    ("pm.mode", "on-demand", '"on-demand"', "is not one of: ondemand, dynamic, static"),
    ("pm.max_children", 0, "0", "is not between 1 and 10000 processes"),
    ("pm.max_children", 10001, "10001", "is not between 1 and 10000 processes"),
    ("pm.max_requests", -1, "-1", "is not between 0 and 1000000000 requests"),
    ("pm.process_idle_timeout", "10s", '"10s"', "is not a whole number of seconds"),
    ("pm.status_path", "/s", "", "there is no such key; the keys are: mode, max_children"),
    ("pm.max_children\n[global]", 1, "pm.max_children\\n[global]:", "there is no such key"),
    # PHP settings
    ("php_admin_value", ["a=b"], "['a=b']", "is not a dictionary"),
    ("php_admin_value", {1: "b"}, "the key 1", "is not a string"),
    ("php_admin_value", {"a]": "b"}, '"a]"', NO_SETTING),
    ("php_admin_value", {"a\n[global]": "b"}, '"a\\n[global]"', NO_SETTING),
    ("php_admin_value", {"": "b"}, '""', NO_SETTING),
    ("php_admin_value", {"a.": "b"}, '"a."', NO_SETTING),
    ("php_admin_value", {"max_execution_time": 5}, "max_execution_time", "cannot be set here"),
    ("php_admin_value", {"error_log": "/x"}, "error_log", "cannot be set here: each site has a log"),
    ("php_admin_value", {"a": "b\n[global]"}, 'a: "b\\n[global]"', CONTROL),
    ("php_admin_value", {"a": "b\0"}, 'a: "b\\x00"', CONTROL),
    ("php_admin_value", {"a": "b\u2028"}, 'a: "b\\u2028"', CONTROL),
    ("php_value", {"a": 'b"'}, 'a: "b""', EVALUATED),
    ("php_value", {"a": "b'"}, "a: \"b'\"", EVALUATED),
    ("php_value", {"a": "${PATH}"}, 'a: "${PATH}"', EVALUATED),
    ("php_value", {"a": "$pool"}, 'a: "$pool"', EVALUATED),
    ("php_value", {"a": "b\\"}, 'a: "b\\\\"', EVALUATED),
    ("php_value", {"a": "[global]"}, 'a: "[global]"', EVALUATED),
    ("php_value", {"a": "é"}, 'a: "\\xe9"', EVALUATED),
    ("php_value", {"a": "E_ALL & ~E_NOTICE"}, 'a: "E_ALL & ~E_NOTICE"', "is a PHP constant"),
    ("php_value", {"a": "E_ALL"}, 'a: "E_ALL"', "is a PHP constant, which FPM does not evaluate"),
    ("php_value", {"a": None}, "a: None", "is not a string"),
    ("php_value", {"a": 1.5}, "a: 1.5", "is not a string"),
    ("php_value", {"a": ["b"]}, "a: ['b']", "is not a string"),
    ("php_value", {"session.save_path": "/x"}, "session.save_path", "cannot be set here"),
    ("php_value.log_errors", "off", "", "php_admin_value sets it too, and wins (FPM-03)"),
    # TLS
    ("tls", "/etc/tls/a.pem", '"/etc/tls/a.pem"', "is not a dictionary"),
    ("tls", True, "True", "is not a dictionary"),
    ("tls.certificate", "a.pem", '"a.pem"', "is not an absolute path"),
    ("tls.key", '/a"\nServerName x', '"/a"\\nServerName x"', CONTROL),
    ("tls.redirect", "no", '"no"', "is not true or false"),
    ("tls.chain", "/c", "", "there is no such key; the keys are: certificate, key, redirect"),
    # limits
    ("limits", [], "[]", "is not a dictionary"),
    ("limits.memory_max", "1 G", '"1 G"', "is not a size in bytes such as 512M or 2G"),
    ("limits.memory_max", "0", '"0"', "is not a size in bytes"),
    ("limits.memory_max", "50%", '"50%"', "is not a size in bytes"),
    ("limits.memory_max", "infinity", '"infinity"', "is not a size in bytes"),
    ("limits.memory_max", "1G\nUser=root", '"1G\\nUser=root"', CONTROL),
    ("limits.memory_max", "1" * 17, "1" * 17, "has 17 characters; at most 16 are allowed"),
    ("limits.cpu_quota", "200", '"200"', "is not a share of one core such as 50% or 200%"),
    ("limits.cpu_quota", "0%", '"0%"', "is not a share of one core"),
    ("limits.cpu_quota", "%h%", '"%h%"', "is not a share of one core"),
    ("limits.tasks_max", 7, "7", "is not between 8 and 1000000 tasks"),
    ("limits.tasks_max", True, "True", "is not a whole number of tasks"),
    # Apache directives
    ("extra_directives", "Header unset X", '"Header unset X"', "is not a list of Apache direc"),
    ("extra_directives", [1], "1", "is not a string"),
    ("extra_directives", ["A b\nC d"], '"A b\\nC d"', CONTROL),
    ("extra_directives", ["A b\\"], '"A b\\\\"', "ends in a backslash, which would join it"),
    ("extra_directives", ["A b\\ "], '"A b\\\\ "', "ends in a backslash, which would join it"),
    ("extra_directives", ["</VirtualHost>"], '"</VirtualHost>"', LEAVES),
    ("extra_directives", [" </VIRTUALHOST >"], "</VIRTUALHOST >", LEAVES),
    ("extra_directives", ['"</VirtualHost>"'], "</VirtualHost>", LEAVES),
    ("extra_directives", ["'</VirtualHost>'"], "</VirtualHost>", LEAVES),
    ("extra_directives", ["<VirtualHost *:80>"], "<VirtualHost *:80>", LEAVES),
]  # fmt: skip


@pytest.mark.parametrize(("where", "given", "shown", "reason"), FAILURE)
def test_bad_value_is_named_with_its_reason(where, given, shown, reason):
    field, _, key = where.partition(".")
    bad = site(**{field: {key: given} if key else given})
    name = bad["name"] if isinstance(bad["name"], str) else None
    label = "sites[0]" + (f" ({name.encode('unicode_escape').decode()})" if name is not None else "")
    path = where.encode("unicode_escape").decode()
    (error,) = errors_of([bad])
    assert error.startswith(f"{label}.{path}: ")
    assert shown in error
    assert reason in error


def test_number_too_long_to_print_is_refused_like_any_other():
    huge = 1 << 99999
    assert errors_of(
        [site(timeout={"max_execution_time": huge}, php_value={"a": huge}, server_name=huge)]
    ) == [
        "sites[0] (alpha).server_name: a huge int is not a string",
        "sites[0] (alpha).timeout.max_execution_time: a huge int is not between 1 and 604800 seconds",
        "sites[0] (alpha).php_value: a: a huge int is more than PHP's integers hold",
    ]


# sites, defaults, the one message
FAULTS_OF_STRUCTURE = [
    ("alpha", None, 'sites: "alpha" is not a list'),
    (None, None, "sites: None is not a list"),
    ({"name": "alpha"}, None, "sites: {'name': 'alpha'} is not a list"),
    ([None], None, "sites[0]: None is not a dictionary"),
    ([site(), "beta"], None, 'sites[1]: "beta" is not a dictionary'),
    ([[site()]], None, "sites[0]: [{'name': 'alpha', 'server_name': 'alpha.example'}] is not a dictionary"),
    ([nested(1, 50_000)], None, "sites[0]: a huge list is not a dictionary"),
    ([site(name=MISSING)], None, "sites[0].name: is missing"),
    ([site(name=None)], None, "sites[0].name: is missing"),
    ([site(server_name=MISSING)], None, "sites[0] (alpha).server_name: is missing"),
    ([site(server_name=None)], None, "sites[0] (alpha).server_name: is missing"),
    ([site(colour="red")], None, "sites[0] (alpha).colour: there is no such field; the fields are: deny"),
    ([site(**{"a\nb": 1})], None, "sites[0] (alpha).a\\nb: there is no such field"),
    ([{**site(), 12: 1}], None, "sites[0] (alpha).12: there is no such field"),
    ([{**site(), None: 1}], None, "sites[0] (alpha).None: there is no such field"),
    ([site("root")], None, 'sites[0] (root).user: defaults to the site\'s name, but "root" is the superuser'),
    ([site("www-data")], None, "sites[0] (www-data).user: defaults to the site's name, but"),
    ([site("www-data", user=None)], None, "sites[0] (www-data).user: defaults to the site's name, but"),
    ([site("on")], None, "sites[0] (on).user: defaults to the site's name, but"),
    ([], "x", 'site defaults: "x" is not a dictionary'),
    ([], [], "site defaults: [] is not a dictionary"),
    ([], {"user": "uk"}, "site defaults.user: cannot be the same for all sites; set it on each site"),
    ([], {"state": "absent"}, "site defaults.state: cannot be the same for all sites"),
    ([site()], {"limits": {"tasks_max": 1}}, "site defaults.limits.tasks_max: 1 is not between 8 and"),
    ([site()], {"colour": 1}, "site defaults.colour: there is no such field"),
    ([site(state="absent", engine="cgi")], None, 'sites[0] (alpha).engine: "cgi" is not one of'),
    ([site(wrapper_root="/srv/w")], None, "sites[0] (alpha).wrapper_root: is one for all sites, as suEXEC"),
    ([], {"wrapper_root": "/srv/../w"}, 'site defaults.wrapper_root: "/srv/../w" is not an absolute path'),
    ([], {"wrapper_root": "/tmp/w"}, 'site defaults.wrapper_root: "/tmp/w" lies in /tmp, which is no place'),
    ([], {"wrapper_root": "/home/w"}, 'site defaults.wrapper_root: "/home/w" lies in /home, which is no'),
    ([], {"wrapper_root": "/var/www/sites/w"}, 'site defaults.wrapper_root: "/var/www/sites/w" lies in /va'),
    ([], {"wrapper_root": "/var/www"}, 'site defaults.wrapper_root: "/var/www" holds the sites; name a dir'),
    ([site(tls={})], None, "sites[0] (alpha).tls.certificate: is missing; TLS needs the files of both"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "defaults", "message"), FAULTS_OF_STRUCTURE)
def test_fault_of_structure_is_named(given, defaults, message):
    assert errors_of(given, defaults)[0].startswith(message)


ALPHAS = "/var/www/sites/alpha"
WRITES = {"writable_paths": ["/srv/w"]}
# fields of the first site, the second site, how the message about the second begins
COLLISIONS = [
    ({}, site("alpha", server_name="b.example"), 'name: "alpha" is the name of FIRST already'),
    ({"state": "absent"}, site("alpha"), 'name: "alpha" is the name of FIRST already'),
    ({}, site("beta", server_name="ALPHA.example"), 'server_name: "alpha.example" is used by FIRST already'),
    (
        {},
        site("beta", server_aliases=["Alpha.Example"]),
        'server_aliases: "alpha.example" is used by FIRST already',
    ),
    (
        {"server_aliases": ["b.example"]},
        site("beta", server_name="B.example"),
        'server_name: "b.example" is used by FIRST',
    ),
    (
        {"server_aliases": ["*.b.example"]},
        site("beta", server_aliases=["*.B.example"]),
        'server_aliases: "*.b.example" is',
    ),
    (
        {},
        site("beta", server_aliases=["c.example", "C.example"]),
        'server_aliases: "c.example" is used by sites[1] (beta)',
    ),
    (
        {},
        site("beta", server_aliases=["beta.example"]),
        'server_aliases: "beta.example" is used by sites[1] (beta)',
    ),
    ({}, site("beta", user="alpha", group="beta"), 'user: "alpha" is the user of FIRST too'),
    ({}, site("beta", group="alpha"), 'group: "alpha" is the group of FIRST too'),
    ({"user": "beta"}, site("beta", group="b"), 'user: "beta" is the user of FIRST too'),
    (
        {"share_account": True},
        site("beta", user="alpha", group="b"),
        'user: "alpha" is the user of FIRST too; give each',
    ),
    (
        {},
        site("beta", user="alpha", group="b", share_account=True),
        'user: "alpha" is the user of FIRST too; give each',
    ),
    (
        {"socket": "/run/x/s"},
        site("beta", socket="/run/x/s"),
        'socket: "/run/x/s" is the socket of FIRST already',
    ),
    (
        {"htaccess": "trusted"},
        site("beta", socket="/run/x/s"),
        'socket: "/run/x/s" can be known, and FIRST has htaccess: trusted',
    ),
    (
        {},
        site("beta", document_root=ALPHAS),
        'document_root: "ALPHAS" lies in the document_root of FIRST, which belongs',
    ),
    (
        {},
        site("beta", document_root=ALPHAS + "/b"),
        'document_root: "ALPHAS/b" lies in the document_root of FIRST',
    ),
    (
        {},
        site("beta", writable_paths=[ALPHAS + "/b"]),
        'writable_paths: "ALPHAS/b" lies in the document_root of FIRST',
    ),
    (
        WRITES,
        site("beta", document_root="/srv/w/b"),
        'document_root: "/srv/w/b" lies in the writable_paths of FIRST',
    ),
    (
        WRITES,
        site("beta", writable_paths=["/srv/w"]),
        'writable_paths: "/srv/w" lies in the writable_paths of FIRST',
    ),
]


@pytest.mark.parametrize(("fields", "second", "message"), COLLISIONS)
def test_what_two_sites_cannot_share_is_named(fields, second, message):
    message = message.replace("FIRST", "sites[0] (alpha)").replace("ALPHAS", ALPHAS)
    (error,) = errors_of([site(**fields), second])
    assert error.startswith(f"sites[1] ({second['name']}).{message}")


def test_outer_directory_is_found_wherever_it_stands_in_the_list():
    inner, outer = site("beta", document_root="/srv/a/b"), site("alpha", document_root="/srv/a")
    assert errors_of([inner, outer])[0].startswith('sites[0] (beta).document_root: "/srv/a/b" lies in')


@pytest.mark.parametrize(
    "second",
    [
        site("beta", document_root="/var/www/sites/alpha-2"),
        site("beta", server_aliases=["*.alpha.example"]),
        site("beta", user="al", group="al"),
        site("alpha-b", server_name="b.example"),
    ],
)
def test_likeness_is_not_collision(second):
    assert len(resolved(site(), second)) == 2


def test_sites_may_share_an_account_and_directories_if_both_say_so():
    shared = {"user": "uk", "share_account": True}
    first, second = resolved(
        site("alpha", document_root="/srv/a", **shared), site("beta", document_root="/srv/a/b", **shared)
    )
    assert first["user"] == second["user"] == second["group"] == "uk"


def test_absent_site_takes_nothing_from_others():
    gone = {"name": "alpha", "state": "absent", "socket": "/run/fastcgi/beta.sock", "document_root": "/srv/b"}
    here = site("beta", document_root="/srv/b", server_name="alpha.example", user="alpha")
    assert [one["name"] for one in resolved(gone, here)] == ["beta"]


# ---------------------------------------------------------------- one message


def test_all_faults_are_in_one_message():
    with pytest.raises(model.InvalidSites) as caught:
        resolved(
            site(user="root", timeout={"max_execution_time": "5x", "nap": 1}),
            "beta",
            site("gamma", server_name="alpha.example", pm={"mode": "dynamic", "start_servers": 9}),
            site("Delta", server_name=MISSING),
            site("eps", tls={"key": "/k"}, timeout={"max_execution_time": 300, "proxy_timeout": 309}),
            defaults={"limits": {"tasks_max": 0}},
        )
    where = [error.split(": ")[0] for error in caught.value.errors]
    assert where == [
        "site defaults.limits.tasks_max",
        "sites[0] (alpha).user",
        "sites[0] (alpha).timeout.max_execution_time",
        "sites[0] (alpha).timeout.nap",
        "sites[1]",
        "sites[2] (gamma).pm.mode",
        "sites[3] (Delta).name",
        "sites[3] (Delta).server_name",
        "sites[4] (eps).timeout.proxy_timeout",
        "sites[4] (eps).tls.certificate",
        "sites[2] (gamma).server_name",
    ]
    first, *rest = str(caught.value).split("\n")
    assert first == "11 error(s) in the list of sites, nothing was touched:"
    assert rest == [f"  - {error}" for error in caught.value.errors]


def test_faults_of_the_defaults_are_told_beside_a_list_that_is_none():
    assert len(errors_of("alpha", {"engine": "cgi"})) == 2


# a value that is refused, and one that would clash with the default in its place
@pytest.mark.parametrize(
    "fields",
    [
        {"timeout": {"max_execution_time": "5x", "request_terminate_timeout": 20}},
        {"pm": {"mode": "dynamic", "max_children": "many", "max_spare_servers": 20}},
        {"tls": {"certificate": "relative", "key": "/k"}},
    ],
)
def test_refused_value_has_no_faults_that_follow_from_it(fields):
    assert len(errors_of([site(**fields)])) == 1


def test_refused_default_has_no_faults_that_follow_from_it():
    given = [site(timeout={"request_terminate_timeout": 20})]
    assert len(errors_of(given, {"timeout": {"max_execution_time": "5x"}})) == 1


def test_message_stays_short_however_long_the_value_is():
    assert all(len(error) < 400 for error in errors_of([site("a" * 100_000, server_name="b" * 100_000)]))


def test_constants_are_looked_for_in_linear_time():
    started = time.monotonic()
    resolved(site(php_value={"a": "E_A" * 2000 + "1"}))
    assert time.monotonic() - started < 1


# ---------------------------------------------------------------- what follows from a site


def test_worker_and_paths_come_from_the_name():
    one = resolved(site(php_version="8.2"))[0]
    assert (one["worker"], one["socket_bound"]) == ("fcgi://alpha.fpm", "/run/fastcgi/bind/alpha.sock")
    assert (one["user"], one["group"], one["document_root"]) == ("alpha", "alpha", "/var/www/sites/alpha")
    assert one["fpm_config"] == "/etc/fastcgi/fpm/8.2/alpha.conf"
    assert (one["socket_unit"], one["service_unit"]) == ("fastcgi-alpha.socket", "fastcgi-alpha.service")


def test_no_two_sites_have_a_path_or_unit_in_common():
    names = ["a", "aa", "a-a", "a-", "a--", "fpm", "a-fpm"]
    own = [
        value
        for one in resolved(*(site(name, server_name=f"h{i}.example") for i, name in enumerate(names)))
        for field, value in one.items()
        if isinstance(value, str) and one["name"] in value and field not in ("name", "user", "group")
    ]
    assert len(own) > 10 * len(names)
    shared = {value for value in own if own.count(value) > 1}
    # site_root is document_root
    assert shared <= {f"/var/www/sites/{name}" for name in names}


def test_sites_of_one_version_share_the_clocks_of_the_most_patient_one():
    """REL-03, TMO-22."""
    sites = model.resolve(
        [
            site(php_version="8.2"),
            site("beta", php_version="8.2", timeout={"max_execution_time": 300}),
            site("gamma", php_version="8.4"),
        ],
        master="shared",
    )
    clocks = [(one["timeout"]["process_control_timeout"], one["timeout"]["stop_timeout"]) for one in sites]
    assert clocks == [(310, 315), (310, 315), (40, 45)]
    assert [one["timeout"]["proxy_timeout"] for one in sites] == [45, 315, 45]


@pytest.mark.parametrize("limits", [{"memory_max": "1G"}, {"tasks_max": 256}])
def test_limits_of_a_site_cannot_hold_with_a_shared_master(limits):
    with pytest.raises(model.InvalidSites) as caught:
        model.resolve([site(), site("beta", limits=limits)], {"limits": limits}, "shared")
    assert [error.split(":")[0] for error in caught.value.errors] == [
        "site defaults.limits",
        "sites[1] (beta).limits",
    ]


@pytest.mark.parametrize("setting", ["validate_permission", "validate_root", "restrict_api"])
def test_nobody_opens_the_cache_of_a_shared_master_to_its_sites(setting):
    """SEC-07. A site with a master of its own has a cache of its own."""
    given = [site(), site("beta", php_admin_value={f"opcache.{setting}": False})]
    with pytest.raises(model.InvalidSites, match=rf"\(beta\)\.php_admin_value\.opcache\.{setting}: .*SEC-07"):
        model.resolve(given, master="shared")
    assert model.resolve(given)


def test_request_that_would_hold_up_all_sites_is_refused_with_a_shared_master():
    given = [site(), site("beta", timeout={"max_execution_time": 3600})]
    with pytest.raises(model.InvalidSites, match=r"sites\[1\] \(beta\).*3610 s is too long .* at most 540"):
        model.resolve(given, master="shared")
    assert model.resolve(given)


def test_kind_of_master_is_one_of_two():
    with pytest.raises(model.InvalidSites, match='master: "mine" is not one of: own, shared'):
        model.resolve([site()], master="mine")


def test_no_worker_begins_the_name_of_another():
    workers = [one["worker"] for one in resolved(*map(site, ["a", "a-fpm", "aa", "b", "fpm", "fpm-fpm"]))]
    assert not [(a, b) for a in workers for b in workers if a is not b and b.startswith(a)]


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("/data", True),
        ("/data/pages/start.txt", True),
        ("/database", False),
        ("/a/data", False),
        ("/conf/local.php", True),
        ("/conf/local.php/info", True),
        ("/conf/localXphp", False),
        ("/dump.sql", True),
        ("/a/b/dump.sql", True),
        ("/dump.sql.txt", False),
        ("/up/evil.php", True),
        ("/up/2026/11/evil.php", True),
        ("/up/evil.php/x", True),
        ("/index.php", False),
        ("/", False),
    ],
)
def test_denied_paths_are_below_the_document_root(path, refused):
    (one,) = resolved(site(deny_paths=["data", "conf/local.php", "*.sql", "up/*.php"]))
    assert bool(re.search(one["denied_urls"], path)) is refused


def test_longest_name_fits_a_socket():
    (one,) = resolved(site("a" * 31))
    assert len(host_secret.filled(one["socket_address"], b"")) <= 95
    assert len(one["socket_bound"]) <= 95


def test_pool_names_are_unique_sections_whatever_their_case():
    # FPM merges sections that differ in case alone (SEC-06); a name has no upper case
    assert errors_of([site("Alpha"), site("alpha", server_name="b.example")])[0].startswith(
        "sites[0] (Alpha).name:"
    )


def test_site_root_is_only_what_the_collection_owns():
    inside, outside = resolved(
        site("alpha", document_root="/var/www/sites/alpha/public", writable_paths=["/srv/w"]),
        site("beta", document_root="/srv/beta"),
    )
    assert (inside["site_root"], inside["given_root"]) == ("/var/www/sites/alpha/public", None)
    assert (outside["site_root"], outside["given_root"]) == (None, "/srv/beta")


# writable paths, and those of them that Apache serves from
SERVED = [
    (["/srv/w"], []),
    (["/srv/shop/var", "/srv/shop/public/uploads"], ["/srv/shop/public/uploads"]),
    (["/srv/shop"], []),
    (["/srv/shop/public"], []),
    (["/srv/shop/public-not"], []),
]


@pytest.mark.parametrize(("writable", "served"), SERVED)
def test_writable_paths_are_for_apache_to_read_below_the_document_root(writable, served):
    """The document root itself is made as one, whether PHP may write to it or not."""
    one = resolved(site("shop", document_root="/srv/shop/public", writable_paths=writable))[0]
    assert one["served_paths"] == served
    assert one["private_paths"] == [path for path in writable if path not in [*served, "/srv/shop/public"]]


def test_sites_keep_their_order_and_absent_ones_are_left_out():
    names = [one["name"] for one in resolved(site("gamma"), site("alpha", state="absent"), site("beta"))]
    assert names == ["gamma", "beta"]


PING = "a.example/fastcgi-ping"


@pytest.mark.parametrize(
    ("tls", "urls"),
    [
        (None, [f"http://{PING}"]),
        ({"certificate": "/c", "key": "/k"}, [f"https://{PING}"]),
        ({"certificate": "/c", "key": "/k", "redirect": False}, [f"http://{PING}", f"https://{PING}"]),
    ],
)
def test_probe_asks_wherever_the_site_is_served(tls, urls):
    assert resolved(site("a", tls=tls))[0]["probe_urls"] == urls


TLS = {"certificate": "/etc/ssl/all.pem", "key": "/etc/ssl/private/all.key"}


@pytest.mark.parametrize(("field", "value"), [("tls", TLS), ("front_controller", "index.php")])
def test_site_goes_without_what_all_others_have(field, value):
    without, like_the_others = resolved(site("a", **{field: None}), site("b"), defaults={field: value})
    assert without[field] is None
    assert like_the_others[field] is not None


@pytest.mark.parametrize(
    ("field", "value"), [("php_version", "8.4"), ("htaccess", "none"), ("pm", {"max_children": 3})]
)
def test_null_elsewhere_is_as_if_the_field_were_not_there(field, value):
    assert resolved(site(**{field: None}), defaults={field: value}) == resolved(
        site(), defaults={field: value}
    )


def test_site_wins_over_defaults_key_by_key():
    one = resolved(
        site(limits={"tasks_max": 64}, php_value={"a": "site"}, server_aliases=["b.example"]),
        defaults={
            "limits": {"memory_max": "1G"},
            "php_value": {"a": "default", "b": "default"},
            "htaccess": "none",
        },
    )[0]
    assert one["limits"] == {"tasks_max": 64, "memory_max": "1G"}
    assert one["php_value"] == {"a": "site", "b": "default"}
    assert one["htaccess"] == "none"


def test_limit_of_the_chain_is_what_php_gets():
    one = resolved(site(timeout={"max_execution_time": "300"}))[0]
    assert one["php_admin_value"]["max_execution_time"] == "300"
    assert one["timeout"]["proxy_timeout"] == 315


def test_setting_of_the_model_can_be_replaced_where_it_wins():
    one = resolved(site(php_admin_value={"log_errors": False}))[0]
    assert one["php_admin_value"]["log_errors"] == "off"


def test_setting_in_both_lists_is_refused():
    errors = errors_of([site(php_value={"a": "1", "b": "1"})], {"php_admin_value": {"a": "2"}})
    assert errors == [
        "sites[0] (alpha).php_value.a: php_admin_value sets it too, and wins (FPM-03); set it there alone"
    ]


# pm given, what FPM gets as (min_spare, start, max_spare), None where it is refused
DYNAMIC = [
    ({}, (1, 2, 3)),
    ({"max_children": 1}, (1, 1, 1)),
    ({"max_children": 2}, (1, 1, 2)),
    ({"min_spare_servers": 5}, (5, 5, 5)),
    ({"min_spare_servers": 2, "max_spare_servers": 8}, (2, 5, 8)),
    ({"start_servers": 3, "max_spare_servers": 3}, (1, 3, 3)),
    ({"start_servers": 2, "min_spare_servers": 3, "max_spare_servers": 5}, None),
    ({"start_servers": 6, "max_spare_servers": 5}, None),
    ({"min_spare_servers": 4, "max_spare_servers": 3}, None),
    ({"max_spare_servers": 11}, None),
    ({"min_spare_servers": 11}, None),
]


@pytest.mark.parametrize(("pm", "spares"), DYNAMIC)
def test_dynamic_pool_has_spares_that_fpm_accepts(pm, spares):
    given = site(pm={"mode": "dynamic", **pm})
    if spares is None:
        (error,) = errors_of([given])
        assert error.startswith("sites[0] (alpha).pm.mode: dynamic needs min_spare_servers <= start_servers")
        return
    whole = resolved(given)[0]["pm"]
    assert (whole["min_spare_servers"], whole["start_servers"], whole["max_spare_servers"]) == spares


@pytest.mark.parametrize("mode", ["ondemand", "static"])
def test_rules_of_a_dynamic_pool_bind_no_other(mode):
    pm = {"mode": mode, "start_servers": 2, "min_spare_servers": 3}
    assert resolved(site(pm=pm))[0]["pm"].items() >= pm.items()


# ---------------------------------------------------------------- engines


def test_engine_decides_what_runs_php():
    managers = [one["process_manager"] for one in resolved(site(), site("beta", engine="fcgid"))]
    assert managers == ["fpm", "php_cgi"]
    assert resolved(site(engine="fcgid", process_manager="php_cgi"))[0]["process_manager"] == "php_cgi"


def test_php_cgi_and_fpm_go_behind_the_same_socket():
    fpm, cgi = resolved(site(), site("beta", process_manager="php_cgi"))
    assert (fpm["seam"], cgi["seam"], cgi["process_manager"]) == ("socket", "socket", "php_cgi")
    same = ("socket_bound", "worker", "socket_unit", "service_unit", "session_directory", "snippet")
    assert {key: cgi[key].replace("beta", "alpha") for key in same} == {key: fpm[key] for key in same}
    assert (cgi["fpm_config"], cgi["status_socket"], fpm["php_ini"]) == (None, None, None)
    assert cgi["php_ini"] == "/etc/fastcgi/php-cgi/beta/php.ini"
    assert "pcntl_fork" in cgi["php_admin_value"]["disable_functions"]


@pytest.mark.parametrize(
    ("engine", "other", "mine"),
    [
        ("proxy_fcgi", "mod_php", "fpm or php_cgi"),
        ("fcgid", "fpm", "php_cgi"),
        ("mpm_itk", "fpm", "mod_php"),
        ("mpm_itk", "php_cgi", "mod_php"),
    ],
)
def test_engine_and_process_manager_that_contradict_each_other_are_refused(engine, other, mine):
    wanted = f'process_manager: "{other}" does not go with engine {engine}, which has {mine}; leave it out'
    assert errors_of([site(engine=engine, process_manager=other)]) == [f"sites[0] (alpha).{wanted}"]
    assert errors_of([site(engine=engine)], {"process_manager": other}) == [f"sites[0] (alpha).{wanted}"]


CGI = {"process_manager": "php_cgi"}
ITK = {"engine": "mpm_itk"}
FCGID = {"engine": "fcgid"}
# what kind of site, field, value, what the reason says
FOREIGN = [
    ({}, "timeout.io_timeout", 60, "is not for FPM, which of timeout has max_execution_time, request_slow"),
    ({}, "timeout.busy_timeout", 60, "is not for FPM"),
    (FCGID, "timeout.proxy_timeout", 60, "is not for fcgid, which of timeout has max_execution_time, io_t"),
    (FCGID, "timeout.request_terminate_timeout", 60, "is not for fcgid"),
    (FCGID, "timeout.request_slowlog_timeout", 6, "is not for fcgid"),
    (FCGID, "timeout.process_control_timeout", 600, "is not for fcgid"),
    (FCGID, "timeout.stop_timeout", 600, "is not for fcgid"),
    (FCGID, "pm.mode", "static", "is not for fcgid, which of pm has max_children, process_idle_timeout, m"),
    (FCGID, "pm.start_servers", 2, "is not for fcgid"),
    (FCGID, "pm.min_spare_servers", 2, "is not for fcgid"),
    (FCGID, "pm.max_spare_servers", 2, "is not for fcgid"),
    (FCGID, "pm.max_spawn_rate", 2, "is not for fcgid"),
    (FCGID, "limits.memory_max", "1G", "is for engines with a unit per site"),
    (FCGID, "limits.cpu_quota", "50%", "is for engines with a unit per site"),
    (FCGID, "socket", "/run/x/y", "mod_fcgid makes its sockets itself"),
    (CGI, "timeout.request_terminate_timeout", 60, "is not for php_cgi behind a socket, which of timeout"),
    (CGI, "timeout.request_slowlog_timeout", 6, "has max_execution_time, proxy_timeout, stop_timeout"),
    (CGI, "timeout.process_control_timeout", 60, "is not for php_cgi"),
    (CGI, "timeout.io_timeout", 60, "is not for php_cgi"),
    (CGI, "pm.mode", "static", "is not for php_cgi behind a socket, which of pm has max_children, max_req"),
    (CGI, "pm.process_idle_timeout", 5, "is not for php_cgi"),
    (ITK, "timeout.proxy_timeout", 60, "is not for mpm_itk, which of timeout has max_execution_time"),
    (ITK, "pm.max_requests", 60, "is not for mpm_itk, which of pm has max_children"),
    (ITK, "limits.memory_max", "1G", "with mpm_itk PHP runs in Apache's own unit"),
    (ITK, "limits.cpu_quota", "50%", "with mpm_itk PHP runs in Apache's own unit"),
    (ITK, "socket", "/run/x/y", "with mpm_itk PHP is a part of Apache"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "where", "value", "reason"), FOREIGN)
def test_field_that_the_engine_has_no_use_for_is_refused(kind, where, value, reason):
    field, _, key = where.partition(".")
    given = {field: {key: value} if key else value}
    (error,) = errors_of([site(**kind, **given)])
    assert error.startswith(f"sites[0] (alpha).{where}: ")
    assert reason in error
    if field != "socket":
        (error,) = errors_of([site(**kind)], given)
        assert error.startswith(f"sites[0] (alpha).{where} (from the site defaults): ")


@pytest.mark.parametrize(("engine", "manager"), [(e, m) for e in engines.SEAMS for m in engines.SEAMS[e]])
@pytest.mark.parametrize("table", ["pm", "timeout"])
def test_every_key_is_one_that_the_site_has_or_refused(engine, manager, table):
    one = resolved(site(engine=engine, process_manager=manager, pm={"max_children": 2}))[0]
    every = {*model.TABLES[table]}
    has = every if (table, manager) == ("pm", "fpm") else every.intersection(one[table])
    if engine == "mod_fastcgi_handler":
        has -= {"proxy_timeout"}  # a part of the chain that Apache does not keep to
    refused = {where.partition(".")[2] for where in engines.foreign(engine, manager) if "." in where}
    assert refused.intersection(every) == every - has


# ---------------------------------------------------------------- php-cgi behind a socket


def test_chain_of_php_cgi_follows_from_its_innermost_clock():
    one = resolved(site(timeout={"max_execution_time": 300}, **CGI))[0]
    assert one["timeout"] == {
        "max_execution_time": 300,
        "default_socket_timeout": 60,
        "proxy_timeout": 305,
        "stop_timeout": 305,
    }


# timeout, settings, the one message
CGI_CHAINS = [
    ({"proxy_timeout": 30}, {}, "timeout.proxy_timeout: 30 s is not longer than max_execution_time (30 s)"),
    ({"stop_timeout": 34}, {}, "timeout.stop_timeout: 34 s is shorter than proxy_timeout (35 s)"),
    ({}, {"default_socket_timeout": 35}, "timeout.proxy_timeout: 35 s is not longer than PHP's default_so"),
    ({}, {"default_socket_timeout": -1}, "timeout.proxy_timeout: 35 s is not longer than PHP's default_so"),
    ({}, {"default_socket_timeout": "1m"}, 'php_value.default_socket_timeout: "1m" is not a whole number'),
]


@pytest.mark.parametrize(("timeout", "settings", "message"), CGI_CHAINS)
def test_chain_of_php_cgi_that_does_not_hold_is_refused(timeout, settings, message):
    (error,) = errors_of([site(timeout=timeout, php_value=settings, **CGI)])
    assert error.startswith(f"sites[0] (alpha).{message}")


def test_php_cgi_has_a_service_of_its_own_and_no_shared_master():
    (error,) = errors_of([site(limits={}, **CGI), site("beta")], master="shared")
    assert error.startswith('sites[0] (alpha).process_manager: "php_cgi" has a service for each site')
    assert model.resolve([site(engine="fcgid")], master="shared")


# ---------------------------------------------------------------- MPM ITK


def test_site_of_mpm_itk_has_no_limit_that_nobody_asked_for():
    assert resolved(site(**ITK))[0]["pm"] == {}
    assert resolved(site(pm={"max_children": 5}, **ITK))[0]["pm"] == {"max_children": 5}
    assert resolved(site(**ITK), defaults={"pm": {"max_children": 6}})[0]["pm"] == {"max_children": 6}


@pytest.mark.parametrize("other", ["proxy_fcgi", "fcgid"])
def test_mpm_itk_shares_no_host_with_another_engine(other):
    (error,) = errors_of([site(**ITK), site("beta", engine=other)])
    assert error == (
        f"sites[1] (beta).engine: {other} cannot be on a host with sites of engine mpm_itk, such as "
        f"sites[0] (alpha): the MPM is one for the whole Apache. Give all sites of the host the engine "
        f"mpm_itk, or none"
    )


def test_there_is_one_php_in_apache():
    (error,) = errors_of([site(php_version="8.2", **ITK), site("beta", php_version="8.4", **ITK)])
    assert error.startswith('sites[1] (beta).php_version: "8.4" is another one than that of sites[0] (alpha)')


LIMIT = "/etc/fastcgi/mod_php/limit-alpha.php"


def test_what_bounds_the_processes_of_a_site_runs_first():
    (one,) = resolved(site(limits={"tasks_max": 64}, **ITK))
    assert one["limits"] == {"tasks_max": 64}
    assert one["limit_script"] == one["php_admin_value"]["auto_prepend_file"] == LIMIT
    assert resolved(site(**ITK))[0]["limits"] == {"tasks_max": 256}
    assert "auto_prepend_file" not in resolved(site())[0]["php_admin_value"]


@pytest.mark.parametrize("field", ["php_value", "php_admin_value"])
def test_what_the_site_itself_runs_first_comes_behind_its_limit(field):
    given = {"auto_prepend_file": "/srv/first.php", "open_basedir": "/srv/alpha:/tmp", "memory_limit": "99M"}
    (one,) = resolved(site(**{field: given}, **ITK))
    assert one["own_prepend"] == "/srv/first.php"
    assert one["php_admin_value"]["auto_prepend_file"] == LIMIT
    assert "auto_prepend_file" not in one["php_value"]
    assert one[field]["open_basedir"] == f"/srv/alpha:/tmp:{LIMIT}"
    assert one[field]["memory_limit"] == "99M"


@pytest.mark.parametrize("field", ["php_value", "php_admin_value"])
def test_word_that_mod_php_takes_for_nothing_is_refused(field):
    given = {field: {"session.cookie_samesite": "None"}}
    (error,) = errors_of([site(**given, **ITK)])
    assert error.startswith(f'sites[0] (alpha).{field}.session.cookie_samesite: "None" is nothing at all')
    assert resolved(site(**given))


def test_paths_of_a_wrapper_tell_its_account():
    alone, apart = resolved(
        site(engine="fcgid"),
        site("beta", engine="fcgid", user="uk", group="web"),
        defaults={"wrapper_root": "/srv/wrapper"},
    )
    assert (alone["wrapper_directory"], alone["wrapper"]) == (
        "/srv/wrapper/alpha.alpha",
        "/srv/wrapper/alpha.alpha/alpha",
    )
    assert apart["wrapper"] == "/srv/wrapper/uk.web/beta"
    assert apart["socket"] is None


@pytest.mark.parametrize("engine", model.ENGINES)
def test_the_snippet_has_one_place_whatever_the_engine(engine):
    assert resolved(site(engine=engine))[0]["snippet"] == "/etc/apache2/fastcgi/alpha.conf"


# settings, limit in bytes
BODIES = [
    ({}, 8 << 20),
    ({"php_value": {"post_max_size": "16m"}}, 16 << 20),
    ({"php_admin_value": {"post_max_size": "2G"}}, 2 << 30),
    ({"php_admin_value": {"post_max_size": 1000}}, 1000),
    ({"php_value": {"post_max_size": "0"}}, 2**63 - 1),
]


@pytest.mark.parametrize(("settings", "limit"), BODIES)
def test_a_body_may_be_as_long_as_php_takes(settings, limit):
    one = resolved(site(engine="fcgid", **settings))[0]
    assert one["body_limit"] == limit
    assert "post_max_size" in {**one["php_value"], **one["php_admin_value"]}


# field, settings, the one message
UNFIT = [
    ("php_value", {"post_max_size": "8 M"}, 'post_max_size: "8 M" is not a size in bytes such as 16M'),
    ("php_admin_value", {"post_max_size": "-1"}, 'post_max_size: "-1" is not a size in bytes'),
    ("php_admin_value", {"default_socket_timeout": "1m"}, 'default_socket_timeout: "1m" is not a whole num'),
]


@pytest.mark.parametrize(("field", "settings", "message"), UNFIT)
def test_setting_that_mod_fcgid_cannot_follow_is_refused(field, settings, message):
    (error,) = errors_of([site(engine="fcgid", **{field: settings})])
    assert error.startswith(f"sites[0] (alpha).{field}.{message}")
    assert resolved(site(**{field: settings}))


def test_phps_own_patience_is_part_of_the_chain():
    (error,) = errors_of([site(engine="fcgid", php_value={"default_socket_timeout": 35})])
    assert error.startswith("sites[0] (alpha).timeout.io_timeout: 35 s is not longer than PHP's default_so")
    one = resolved(site(engine="fcgid", php_value={"default_socket_timeout": 5}))[0]
    assert one["timeout"]["default_socket_timeout"] == 5
    assert "default_socket_timeout" not in one["php_admin_value"]


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({"php_value": {"a": "1"}}, False),
        ({"php_admin_value": {"a": "1"}}, False),
        ({"php_version": "8.4"}, False),
        ({"timeout": {"max_execution_time": 60}}, False),
        ({"server_name": "b.example"}, True),
    ],
)
def test_apache_is_told_when_phps_settings_change(fields, same):
    before, after = (resolved(site(engine="fcgid", **given))[0]["php_digest"] for given in ({}, fields))
    assert (before == after) == same


def many(count, **fields):
    return [site(f"s{number}", engine="fcgid", **fields) for number in range(count)]


def test_processes_of_all_sites_fit_into_mod_fcgids_table():
    assert len(resolved(*many(204, pm={"max_children": 5}))) == 204
    (error,) = errors_of(many(205), {"pm": {"max_children": 5}})
    assert "make 1025 processes together" in error
    assert "has room for 1020 (CAP-11)" in error
    assert "to 4 or less" in error
    assert len(resolved(*many(1), *[site(f"p{n}", pm={"max_children": 500}) for n in range(3)])) == 4


def test_plain_http_beside_tls_is_a_class_of_processes_of_its_own():
    tls = {"certificate": "/c", "key": "/k"}
    assert resolved(*many(1, pm={"max_children": 1000}, tls=tls))
    assert (
        "make 2000 processes"
        in errors_of(many(1, pm={"max_children": 1000}, tls={**tls, "redirect": False}))[0]
    )


@pytest.mark.parametrize("root", ["/srv/a/wrapper", "/srv/a", "/srv"])
def test_wrappers_and_sites_lie_apart(root):
    given = [site(engine="fcgid"), site("beta", document_root="/srv/a")]
    (error,) = errors_of(given, {"wrapper_root": root})
    assert error.startswith('sites[1] (beta).document_root: "/srv/a" and the wrapper_root')


# ---------------------------------------------------------------- nothing is shared


def test_input_is_not_changed():
    given = [
        site(server_aliases=["B.example"], limits={"cpu_quota": "50%"}, timeout={"max_execution_time": "60"}),
        site("beta", php_value={"a": 1}, tls={"certificate": "/c", "key": "/k"}, pm={"mode": "dynamic"}),
    ]
    defaults = {"limits": {"memory_max": "1G"}, "php_value": {"b": True}}
    before = copy.deepcopy((given, defaults))
    model.resolve(given, defaults)
    assert (given, defaults) == before


@pytest.mark.parametrize("defaults", [None, {"limits": {"memory_max": "1G"}, "extra_directives": ["A b"]}])
def test_results_share_nothing_with_each_other_or_the_defaults(defaults):
    first, second = resolved(site(), site("beta"), defaults=defaults)
    before = copy.deepcopy(second)
    for value in first.values():
        if isinstance(value, dict):
            value["x"] = "y"
        elif isinstance(value, list):
            value.append("x")
    assert second == before
    assert resolved(site("beta"), defaults=defaults) == [before]

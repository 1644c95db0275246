"""Sites of mod_fastcgi and mod_fastcgi_handler: what they have, and what they are refused."""

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils import sites as model

EXTERNAL = {"engine": "mod_fastcgi"}
STATIC = {"engine": "mod_fastcgi", "process_manager": "php_cgi"}
VIRTUAL = {"engine": "mod_fastcgi", "fastcgi_mapping": "virtual_directory"}
HANDLER = {"engine": "mod_fastcgi_handler"}


def site(name="alpha", **fields):
    return {"name": name, "server_name": f"{name}.example", **fields}


def resolved(*given, defaults=None):
    return model.resolve(list(given), defaults)


def errors_of(*given, defaults=None):
    with pytest.raises(model.InvalidSites) as caught:
        model.resolve(list(given), defaults)
    return caught.value.errors


def test_mod_fastcgi_stands_on_either_side():
    fpm, cgi = resolved(site(**EXTERNAL), site("beta", **STATIC))
    assert (fpm["process_manager"], fpm["seam"], fpm["php_addresses"]) == (
        "fpm",
        "socket",
        ["/run/fastcgi/@secret:alpha@/alpha.sock"],
    )
    assert (cgi["process_manager"], cgi["seam"], cgi["socket"]) == ("php_cgi", "wrapper", None)
    assert fpm["probe_urls"] == ["http://alpha.example/fastcgi-ping"]
    assert cgi["probe_urls"] == []  # php-cgi has no ping


def test_the_handler_takes_either_behind_a_socket():
    fpm, cgi = resolved(site(**HANDLER), site("beta", process_manager="php_cgi", **HANDLER))
    assert (fpm["seam"], cgi["seam"]) == ("socket", "socket")
    assert fpm["probe_urls"] == ["http://alpha.example/fastcgi-ping"]
    assert cgi["probe_urls"] == []  # the script that answers is none that Apache may see
    assert "proxy_timeout" not in {**fpm["timeout"], **cgi["timeout"]}


def test_another_engine_means_another_wrapper():
    """Apache goes from the one to the other with the snippet, while both are there."""
    cgi, fcgid = (
        resolved(site(engine=engine, process_manager="php_cgi"))[0] for engine in ("mod_fastcgi", "fcgid")
    )
    assert cgi["wrapper"] == "/var/www/wrapper/alpha.alpha/alpha.fastcgi"
    assert fcgid["wrapper"] == "/var/www/wrapper/alpha.alpha/alpha"
    assert cgi["suexec_call"]["path"] == cgi["wrapper"]
    assert (cgi["php_children"], fcgid["php_children"]) == (10, 0)
    assert resolved(site(pm={"max_children": 3, "max_requests": 7}, **STATIC))[0]["php_max_requests"] == 7


def test_processes_of_mod_fastcgi_take_no_room_in_the_table_of_mod_fcgid():
    many = {"max_children": 1000}
    assert resolved(site(pm=many, **STATIC), site("beta", engine="fcgid"))


# what kind of site, field, value, what the reason says
FOREIGN = [
    (EXTERNAL, "timeout.io_timeout", 60, "is not for FPM, which of timeout has max_execution_time"),
    (STATIC, "timeout.proxy_timeout", 60, "that mod_fastcgi starts, which of timeout has max_execution_ti"),
    (STATIC, "timeout.busy_timeout", 60, "is not for php_cgi that mod_fastcgi starts"),
    (STATIC, "timeout.request_terminate_timeout", 60, "is not for php_cgi that mod_fastcgi starts"),
    (STATIC, "pm.mode", "static", "that mod_fastcgi starts, which of pm has max_children, max_requests"),
    (STATIC, "pm.process_idle_timeout", 5, "is not for php_cgi that mod_fastcgi starts"),
    (STATIC, "limits.memory_max", "1G", "PHP runs in Apache's own unit"),
    (STATIC, "fastcgi_mapping", "alias", "is for mod_fastcgi with FPM"),
    (HANDLER, "timeout.proxy_timeout", 60, "mod_fastcgi_handler waits for PHP without end"),
    (HANDLER, "timeout.io_timeout", 60, "is not for FPM"),
    (HANDLER, "pass_authorization", True, "mod_fastcgi_handler has no way to hand the header on"),
    (HANDLER, "fastcgi_mapping", "virtual_directory", "is for mod_fastcgi with FPM"),
    ({}, "fastcgi_mapping", "virtual_directory", "is for mod_fastcgi with FPM"),
    ({"engine": "fcgid"}, "fastcgi_mapping", "alias", "is for mod_fastcgi with FPM"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "where", "value", "reason"), FOREIGN)
def test_field_that_the_engine_has_no_use_for_is_refused(kind, where, value, reason):
    field, _, key = where.partition(".")
    given = {field: {key: value} if key else value}
    (error,) = errors_of(site(**kind, **given))
    assert error.startswith(f"sites[0] (alpha).{where}: ")
    assert reason in error
    (error,) = errors_of(site(**kind), defaults=given)
    assert error.startswith(f"sites[0] (alpha).{where} (from the site defaults): ")


def test_a_site_goes_without_what_is_for_all_others():
    defaults = {"pass_authorization": True}
    one, other = resolved(site(pass_authorization=False, **HANDLER), site("beta"), defaults=defaults)
    assert (one["pass_authorization"], other["pass_authorization"]) == (False, True)


def test_a_tenant_who_may_rewrite_is_refused_where_that_reaches_fpm():
    """SEC-02: mod_fastcgi_handler hands FPM every variable under the name that a rule gave it."""
    (error,) = errors_of(site(htaccess="trusted", **HANDLER))
    assert error.startswith(
        'sites[0] (alpha).htaccess: "trusted" does not go with engine mod_fastcgi_handler'
    )
    assert error.endswith("set htaccess: safe, or process_manager: php_cgi, or engine: proxy_fcgi")
    assert errors_of(site(**HANDLER), defaults={"htaccess": "trusted"}) == [error]
    assert resolved(
        site(htaccess="trusted", process_manager="php_cgi", **HANDLER), site("beta", htaccess="trusted")
    )


# ---------------------------------------------------------------- a site's share of Apache


@pytest.mark.parametrize(
    ("engine", "usual"),
    [("proxy_fcgi", 16), ("fcgid", 96), ("mod_fastcgi", 96), ("mod_fastcgi_handler", 96), ("mpm_itk", 96)],
)
def test_no_site_may_have_all_of_apache_under_way(engine, usual):
    """CAP-01, CAP-12: its virtual hosts together, which Apache counts apart."""
    tls = {"certificate": "/c", "key": "/k"}
    kinds = ({}, {"tls": tls}, {"tls": {**tls, "redirect": False}}, {"pm": {"max_children": usual + 1}})
    shares = [resolved(site(engine=engine, **kind))[0]["apache_share"] for kind in kinds]
    # no less than it has workers, of which ten are the default
    assert shares == [usual, usual, max(usual // 2, 10), usual + 1]


# ---------------------------------------------------------------- clocks of a wrapper


def test_clocks_of_a_wrapper_follow_from_the_innermost():
    (one,) = resolved(site(timeout={"max_execution_time": 300}, **STATIC))
    assert one["timeout"] == {"max_execution_time": 300, "default_socket_timeout": 60, "io_timeout": 305}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"timeout": {"io_timeout": 30}}, "30 s is not longer than max_execution_time (30 s)"),
        (
            {"php_value": {"default_socket_timeout": 35}},
            "35 s is not longer than PHP's default_socket_timeout",
        ),
    ],
)
def test_clocks_of_a_wrapper_that_do_not_hold_are_refused(given, message):
    (error,) = errors_of(site(**given, **STATIC))
    assert error.startswith(f"sites[0] (alpha).timeout.io_timeout: {message}")


# ---------------------------------------------------------------- virtual directory

PREPEND = "/usr/local/lib/fastcgi/virtual.php"


def test_a_virtual_directory_is_a_link_and_a_file_to_run_first():
    plain, virtual = resolved(site(**EXTERNAL), site("beta", **VIRTUAL))
    assert (plain["virtual_link"], virtual["virtual_link"]) == (None, "/var/www/fastcgi/beta")
    # the same for Apache, which goes by whether there is a link
    assert plain["fastcgi_path"] == "/var/www/fastcgi/alpha"
    assert virtual["fastcgi_path"] == virtual["virtual_link"]
    assert virtual["php_admin_value"]["auto_prepend_file"] == PREPEND
    assert "auto_prepend_file" not in plain["php_admin_value"]


@pytest.mark.parametrize(("field", "locked"), [("php_value", False), ("php_admin_value", True)])
def test_what_the_site_itself_runs_first_comes_behind_it(field, locked):
    given = {field: {"auto_prepend_file": "/srv/first.php", "memory_limit": "99M"}}
    (one,) = resolved(site(**given, **VIRTUAL))
    assert (one["own_prepend"], one["own_prepend_locked"]) == ("/srv/first.php", locked)
    assert one["php_admin_value"]["auto_prepend_file"] == PREPEND
    assert "auto_prepend_file" not in one["php_value"]
    assert one[field]["memory_limit"] == "99M"


# settings, the one message
UNFIT = [
    ({"open_basedir": "/srv/alpha:/tmp"}, f'open_basedir: "/srv/alpha:/tmp" does not hold {PREPEND}'),
    ({"open_basedir": "/usr/local/lib/fast"}, 'open_basedir: "/usr/local/lib/fast" does not hold'),
    ({"cgi.fix_pathinfo": 1}, "cgi.fix_pathinfo: a virtual directory needs a value of its own"),
]


@pytest.mark.parametrize("field", ["php_value", "php_admin_value"])
@pytest.mark.parametrize(("settings", "message"), UNFIT)
def test_settings_that_a_virtual_directory_cannot_do_with_are_refused(field, settings, message):
    (error,) = errors_of(site(**{field: settings}, **VIRTUAL))
    assert error.startswith(f"sites[0] (alpha).{field}.{message}")
    assert resolved(site(**{field: settings}, **EXTERNAL))


@pytest.mark.parametrize("path", ["/usr/local/lib/fastcgi", PREPEND])
def test_open_basedir_may_hold_the_file_or_its_directory(path):
    assert resolved(site(php_value={"open_basedir": f"/srv/alpha:{path}"}, **VIRTUAL))


def test_no_site_has_its_files_where_the_links_are():
    (error,) = errors_of(site(document_root="/var/www/fastcgi/beta"))
    assert "lies in /var/www/fastcgi, where no site can have its files" in error

"""What holds for every application."""

import shlex

import pytest

SITES = {
    "blog": "/var/www/sites/blog",
    "knowledge": "/var/lib/mediawiki",
    "database": "/usr/share/phpmyadmin",
}


@pytest.mark.parametrize("site", SITES)
def test_a_page_is_rendered_under_the_sites_own_user(host, browse, site):
    page = browse(site).get("/")
    assert page.status == 200, page
    assert page.runs_as == f"{host.user(site).uid} {site}"


def test_apache_itself_has_no_php(host):
    modules = host.check_output("apache2ctl -M")
    assert "mpm_event_module" in modules
    assert "php_module" not in modules


@pytest.mark.parametrize("path", ["/phpmyadmin/", "/mediawiki/", "/wordpress/"])
def test_the_packages_put_nothing_into_other_virtual_hosts(browse, path):
    assert browse("database").get(path).status == 404


@pytest.mark.parametrize("site, root", SITES.items())
def test_no_htaccess_of_an_application_makes_an_error_of_the_server(host, browse, site, root):
    """All of them are asked for something beside them, with mod_rewrite loaded."""
    found = host.check_output(f"find -L {root} -name .htaccess -printf '%P\\n'").split()
    assert found or site == "database"
    for path in found:
        directory = path.removesuffix(".htaccess")
        files = host.check_output(f"ls -p {shlex.quote(f'{root}/{directory}')} | grep -v / || true").split()
        for name in ["", *files[:1]]:
            assert browse(site).get(f"/{directory}{name}").status in (200, 403, 404), directory


@pytest.mark.parametrize("path", ["/.htaccess", "/.git/config"])
@pytest.mark.parametrize("site", SITES)
def test_files_that_begin_with_a_dot_are_not_served(browse, site, path):
    assert browse(site).get(path).status in (403, 404)

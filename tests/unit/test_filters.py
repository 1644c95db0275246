"""The filter as a playbook sees it."""

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.webhosting.fastcgi.plugins.filter.resolve_sites import FilterModule as ResolveSites

resolve_sites = ResolveSites().filters()["resolve_sites"]


def sites(*names, **fields):
    return resolve_sites([{"name": name, "server_name": f"{name}.example", **fields} for name in names])


def test_resolve_sites_joins_defaults_key_by_key():
    given = [{"name": "alpha", "server_name": "a.example", "timeout": {"proxy_timeout": 900}}]
    (site,) = resolve_sites(given, {"timeout": {"max_execution_time": 120}, "htaccess": "none"})
    assert site["timeout"]["request_terminate_timeout"] == 125
    assert site["timeout"]["proxy_timeout"] == 900
    assert site["htaccess"] == "none"


@pytest.mark.parametrize("defaults", [None, {}])
def test_resolve_sites_needs_no_defaults(defaults):
    assert resolve_sites([{"name": "alpha", "server_name": "alpha.example"}], defaults) == sites("alpha")


def test_resolve_sites_fails_with_the_whole_message():
    with pytest.raises(AnsibleFilterError) as caught:
        resolve_sites([{"name": "alpha", "user": "root"}], {"engine": "cgi"})
    for part in (
        "3 error(s) in the list of sites, nothing was touched:",
        '\n  - site defaults.engine: "cgi" is not one of: proxy_fcgi',
        '\n  - sites[0] (alpha).user: "root" is the superuser; give the site an account of its own',
        "\n  - sites[0] (alpha).server_name: is missing",
    ):
        assert part in str(caught.value)


def test_resolve_sites_tells_of_sites_that_are_alike_once():
    given = [{"name": name, "server_name": f"{name}.example"} for name in ("alpha", "beta", "gamma")]
    given[1]["engine"] = "fcgid"
    assert resolve_sites(given, distinct=["engine", "seam"]) == [
        {"engine": "proxy_fcgi", "seam": "socket"},
        {"engine": "fcgid", "seam": "wrapper"},
    ]
    assert resolve_sites(given, only={"engine": ["fcgid"]}, distinct=["name"]) == [{"name": "beta"}]
    assert resolve_sites([], distinct=["engine"]) == []


def test_resolve_sites_refuses_to_tell_of_what_no_site_has():
    with pytest.raises(AnsibleFilterError, match="distinct: 'motor' is not a field of a resolved site"):
        resolve_sites([{"name": "alpha", "server_name": "alpha.example"}], distinct=["engine", "motor"])

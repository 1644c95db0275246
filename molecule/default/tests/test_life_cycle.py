"""What an operator does to a host over time: good changes, bad ones, and sites that go."""

import copy
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
DEMO = yaml.safe_load((ROOT / "examples/demo/group_vars/all.yml").read_text())["fastcgi_sites"]
BEHIND_A_SOCKET = [site for site in DEMO if site.get("engine") != "fcgid"]
CONFIGURATION = ("/etc/apache2", "/etc/fastcgi", "/etc/systemd/system", "/var/lib/config_set", "/etc/passwd")


@pytest.fixture
def sites():
    return copy.deepcopy(DEMO)


@pytest.fixture
def converge(play):
    """Run the playbook with another list of sites."""
    return lambda sites, *arguments: play(ROOT / "playbooks/site.yml", {"fastcgi_sites": sites}, *arguments)


def state(host):
    """The configuration of the host, whole: names, contents, owners, modes, times."""
    places = " ".join(CONFIGURATION)
    names = f"find {places} -printf '%p %y %l %u:%g %m %T@\\n' | sort"
    contents = f"find {places} -type f | sort | xargs sha256sum"
    return host.check_output(f"{names}; {contents}")


def counted(output, what):
    return int(re.search(rf"\b{what}=(\d+)", output)[1])


def status(host, name):
    return host.check_output(f"curl -so /dev/null -w '%{{http_code}}' -H 'Host: {name}' http://127.0.0.1/")


def without(sites, name):
    return [site for site in sites if site["name"] != name]


def test_processes_of_a_site_are_its_users_alone(host):
    for site in BEHIND_A_SOCKET:
        status(host, site["server_name"])
        group = host.check_output(f"systemctl show -P ControlGroup fastcgi-{site['name']}")
        processes = host.check_output(f"cat /sys/fs/cgroup{group}/cgroup.procs").split()
        users = host.check_output(f"ps -o user= -p {','.join(processes)} | sort -u").split()
        assert users == [site["user"]]


@pytest.mark.parametrize("site", [site["name"] for site in BEHIND_A_SOCKET])
def test_the_sandbox_is_tight(host, site):
    """By the service manager's own measure; the distribution's FPM service has 9.6."""
    line = host.check_output(f"systemd-analyze security --no-pager fastcgi-{site}.service | tail -n 1")
    assert float(re.search(r"(\d+\.\d)", line)[1]) <= 1.5


def test_a_master_that_is_killed_comes_back_with_the_next_request(host):
    for _ in range(3):
        assert status(host, "report.localhost") == "200"
        pid = host.check_output("systemctl show -P MainPID fastcgi-report")
        host.check_output(f"kill -KILL {pid}")
        assert status(host, "report.localhost") == "200"
        assert host.check_output("systemctl show -P MainPID fastcgi-report") != pid


def test_a_site_that_sleeps_is_asked_for_its_virtual_host_alone(host):
    """What config_set does where it has changed many sites. Who has no pass learns nothing."""
    secret = "/run/config_set/" + "5" * 32
    asking = (
        f"curl -s -w ' %{{http_code}}' -H 'Host: report.localhost' -H 'Config-Set-Probe: {'5' * 32}' "
        "'http://127.0.0.1/fastcgi-ping?asleep'"
    )
    host.check_output(f"systemctl stop fastcgi-report && touch {secret}")
    try:
        assert host.check_output(asking) == "report 403"
    finally:
        host.check_output(f"rm {secret}")
    refused = host.check_output(asking)
    assert refused.endswith(" 403")
    assert refused != "report 403"
    assert not host.service("fastcgi-report").is_running


BAD = {
    "line break in server_name": ({"server_name": "x.example\nServerAlias *"}, "server_name", "line break"),
    "the superuser": ({"user": "root"}, "user", "is the superuser"),
    "socket too long": ({"socket": "/run/fastcgi/" + "x" * 83}, "socket", "96 bytes long"),
    "no number": ({"timeout": {"max_execution_time": "5x"}}, "timeout.max_execution_time", '"5x" is not'),
    "name in use": ({"server_name": "wiki.localhost"}, "server_name", "is used by sites[0] (wiki)"),
}


@pytest.mark.parametrize("fields, field, reason", BAD.values(), ids=BAD)
def test_a_bad_value_is_refused_before_anything_is_touched(host, converge, sites, fields, field, reason):
    """SEC-16, SEC-31. A site that left the list is not taken away either."""
    before = state(host)
    sites = without(sites, "pretty")
    sites.append({"name": "bad-site", "server_name": "bad.example", **fields})
    run = converge(sites)
    assert run.returncode != 0
    words = re.sub(r"\s+", " ", run.stdout)
    assert f"sites[4] (bad-site).{field}: " in words
    assert reason in words
    assert state(host) == before


def test_the_number_of_tasks_does_not_depend_on_the_number_of_sites(converge):
    many = [{"name": f"site-{number}", "server_name": f"{number}.example"} for number in range(100)]
    few, all_of_them = converge(many[:1], "--check"), converge(many, "--check")
    assert (few.returncode, all_of_them.returncode) == (0, 0)
    assert counted(few.stdout, "ok") == counted(all_of_them.stdout, "ok") > 10


def test_a_site_that_left_the_list_goes_and_its_files_stay(host, converge, sites):
    assert status(host, "pretty.localhost") == "200"
    run = converge(without(sites, "pretty"))
    assert run.returncode == 0, run.stdout
    assert host.check_output("find /etc /run -name '*pretty*' -not -name 'passwd*'") == ""
    assert host.run("systemctl status fastcgi-pretty.socket").rc == 4  # no such unit
    assert host.run("pgrep -u pretty").rc == 1
    assert host.file("/var/www/sites/pretty/index.php").user == "pretty"
    assert status(host, "report.localhost") == "200"

    run = converge(sites)
    assert run.returncode == 0, run.stdout
    assert status(host, "pretty.localhost") == "200"
    run = converge(sites)
    assert (run.returncode, counted(run.stdout, "changed")) == (0, 0)


def test_a_run_fails_where_the_clocks_of_the_host_do_not_fit_the_sites(host, converge, sites):
    """TMO-10: somebody has given Apache more workers than may wait for a site."""
    path = "/etc/apache2/conf-enabled/many-workers.conf"
    sites[0].setdefault("php_admin_value", {})["memory_limit"] = "190M"
    host.check_output(f"printf 'ServerLimit 100\\nThreadsPerChild 64\\nMaxRequestWorkers 6400\\n' > {path}")
    try:
        run = converge(sites)
    finally:
        host.check_output(f"rm {path}")
    assert run.returncode != 0
    words = re.sub(r"\s+", " ", run.stdout)
    for part in ("critical TMO-10", f"{path}:3", "a backlog of at least 6400"):
        assert part in words
    run = converge(DEMO)
    assert run.returncode == 0, run.stdout

"""Each of ten sites goes through all engines; a host shows nothing of where its sites come from."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from testinfra.utils.ansible_runner import AnsibleRunner

HERE = Path(__file__).resolve().parents[1]
PLAYBOOK = HERE.parents[1] / "playbooks/site.yml"
GIVEN = yaml.safe_load((HERE / "group_vars/all.yml").read_text())
OF_MODULES = GIVEN["engines_of_modules"]
SITES, LAST = GIVEN["fastcgi_sites"], GIVEN["last_engine"]
ENGINES = [
    *GIVEN["engines"],
    *(engine for variable in OF_MODULES if os.environ.get(variable) for engine in OF_MODULES[variable]),
]

LISTS = [
    [{**site, **ENGINES[0]} for site in SITES],
    # neighbours have different engines, and each site has another one in the next list
    *(
        [{**site, **ENGINES[(number + turn) % len(ENGINES)]} for number, site in enumerate(SITES)]
        for turn in range(len(ENGINES))
    ),
    [{**site, **LAST} for site in SITES],
]
"""The lists of sites that the host "there" has one after the other; the host "back" has them backwards."""

PROCESSES = {
    "fpm": ("fpm-fcgi", "php-fpm8.2"),
    "php_cgi": ("cgi-fcgi", "php-cgi8.2"),
    "mod_php": ("apache2handler", "apache2"),
}
"""For each process manager what PHP calls itself, and what the system calls its processes."""

COME_AND_GO = {
    "proxy_fcgi": "proxy_fcgi_module",
    "mod_fastcgi": "fastcgi_module",
    "mod_fastcgi_handler": "fastcgi_handler_module",
    "mpm_itk": "mpm_itk_module",
}
"""Modules that Apache has loaded for as long as a site has the engine."""

ENABLED = (
    *("actions.conf", "actions.load", "fcgid.conf", "fcgid.load"),
    *("headers.load", "proxy.conf", "proxy.load", "suexec.load"),
)
KEPT = {
    *(f"/etc/apache2/mods-enabled/{file}" for file in ENABLED),
    *(f"/usr/local/lib/fastcgi/{file}" for file in ("mod_fastcgi.so", "mod_fastcgi_handler.so")),
}
"""Modules stay enabled, since Apache does not start, or shows the source of scripts, where a virtual host of
somebody's own names one that is gone. mod_proxy_fcgi goes (SEC-04): mod_proxy refuses its handlers then. The
files of modules that Debian has not stay, as packages of them do; nothing loads them."""


@pytest.fixture(scope="module")
def hosts():
    """Both hosts, each with the list that it begins with."""
    runner = AnsibleRunner(os.environ["MOLECULE_INVENTORY_FILE"])
    return {name.rpartition("-")[2]: runner.get_host(name) for name in runner.get_hosts("all")}


@pytest.fixture(scope="module")
def manifests(hosts):
    """What there was on each host with each list, by the list's number; it fills up from test to test."""
    for name, number in (("there", 0), ("back", -1)):
        answers(hosts[name], LISTS[number], "")  # PHP makes its file
    return {"there": {0: manifest(hosts["there"])}, "back": {len(LISTS) - 1: manifest(hosts["back"])}}


def manifest(host) -> dict[str, Any]:
    script = (HERE / "files/manifest.py").read_text()
    return json.loads(host.check_output("printf %%s %s | python3 -", script))


def answers(host, sites, path) -> list[str]:
    urls = shlex.join(f"http://{site['server_name']}/{path}" for site in sites)
    return host.check_output(f"curl -sS -w '\\n' --connect-to ::127.0.0.1: {urls}").splitlines()


def check(host, sites):
    """Each site answers, and has processes of its own engine alone; Apache has the modules of these."""
    wanted = [PROCESSES[site["process_manager"]] for site in sites]
    assert answers(host, sites, "") == [f"{site['name']} {api}" for site, (api, _) in zip(sites, wanted)]
    for site, (_, process) in zip(sites, wanted):
        seen = host.check_output(f"ps -o comm= -u {site['name']} | sort -u").split()
        assert set(seen) <= {process}, site["name"]
    loaded = host.check_output("apache2ctl -M").split()
    engines = {site["engine"] for site in sites}
    assert {engine for engine, module in COME_AND_GO.items() if module in loaded} == engines & {*COME_AND_GO}


def test_both_hosts_begin(hosts, manifests):
    for name, number in (("there", 0), ("back", -1)):
        check(hosts[name], LISTS[number])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.takes_module(name, f"the move to {name} and from it"))
        for name in ("mod_fastcgi", "mod_fastcgi_handler")
    ],
)
def test_the_older_modules_are_among_the_engines(name):
    assert name in {engine["engine"] for engine in ENGINES}


@pytest.mark.parametrize("step", range(1, len(LISTS)))
def test_sites_change_their_engines(hosts, manifests, play, step):
    numbers = {"there": step, "back": len(LISTS) - 1 - step}
    variables = {
        "lists": {hosts[name].backend.get_hostname(): LISTS[number] for name, number in numbers.items()},
        "fastcgi_sites": "{{ lists[inventory_hostname] }}",
        "ansible_become": False,
    }
    run = play(PLAYBOOK, variables)
    assert run.returncode == 0, run.stdout
    for name, number in numbers.items():
        # by PHP of the engine before
        assert answers(hosts[name], LISTS[number], "made.txt") == ["made"] * len(SITES)
        check(hosts[name], LISTS[number])
        manifests[name][number] = manifest(hosts[name])


@pytest.mark.parametrize("number", range(len(LISTS)))
def test_nothing_tells_where_sites_come_from(manifests, number):
    """With the first and the last list one host is a fresh one; with the others they have different pasts."""
    there, back = manifests["there"][number], manifests["back"][number]
    different = [
        f"{what}: {there.get(what)} or {back.get(what)}"
        for what in sorted({*there, *back} - KEPT)
        if there.get(what) != back.get(what)
    ]
    assert not different, "\n".join(different)

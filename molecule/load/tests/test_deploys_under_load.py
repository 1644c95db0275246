"""Nobody's request fails while sites come, change and go, and while daemons reload, restart and die."""

import json
import shlex
import subprocess
import threading
import time
from pathlib import Path

import pytest
import yaml

SCENARIO = Path(__file__).resolve().parents[1]
ACCOUNTS = yaml.safe_load((SCENARIO / "vars" / "accounts.yml").read_text())["accounts"]
TAGS = "fpm_pool_configure,apache_fastcgi_configure,apache_vhost_configure"
PRESENT, COMING_AND_GOING = 50, 10
ROUNDS = range(1, 6)
CLIENTS = 4
CHANGES = (
    {"pm": {"max_children": 7}},
    {"pm": {"mode": "dynamic", "max_children": 4}},
    {"timeout": {"max_execution_time": 45}},
    {"php_admin_value": {"memory_limit": "99M"}},
    {"php_value": {"date.timezone": "Asia/Tokyo"}},
    {"limits": {"tasks_max": 99}},
    {"extra_directives": ["AddDefaultCharset utf-8"]},
    {"server_aliases": ["alias-of-{name}.test"]},
    {"htaccess": "none"},
    {"socket": "/run/fastcgi/moved-{round}/{name}.sock"},
)


class Plan:
    """One round: who comes, changes and goes, and whose masters suffer."""

    def __init__(self, number, sites):
        self.number = number
        self.gone = [site["name"] for site in sites[:COMING_AND_GOING]]
        names = {site["name"] for site in sites}
        self.come = [account for account in ACCOUNTS if account["name"] not in names]
        stay = sites[COMING_AND_GOING:]
        self.changed = [site["name"] for site in stay[-COMING_AND_GOING:]]
        # who changed in an earlier round goes back to how it was
        kept = [{key: site[key] for key in ("name", "server_name")} for site in stay]
        changes = zip(kept[-COMING_AND_GOING:], CHANGES)
        changed = [{**site, **self.filled(change, site["name"])} for site, change in changes]
        self.after = [*kept[:-COMING_AND_GOING], *changed, *self.come]
        self.asked = [site["name"] for site in stay]
        untouched = [site["name"] for site in stay[:-COMING_AND_GOING] if len(site) == 2]
        # masters of both kinds of sites: those that the run changes meanwhile and those that it leaves alone
        self.killed = [*untouched[:2], self.changed[0], self.changed[2]]
        self.reloaded = [*untouched[2:5], self.changed[3]]
        self.restarted = [*untouched[5:8], self.changed[4]]

    def filled(self, change, name):
        return json.loads(json.dumps(change).replace("{name}", name).replace("{round}", str(self.number)))


@pytest.fixture
def converge(play):
    """Bring the host to a list of sites, with all that writes configuration."""
    return lambda sites: play(SCENARIO / "converge.yml", {"fastcgi_sites": sites}, "--tags", TAGS)


class Load:
    """Clients on the host under test, from entering until leaving; `requests` afterwards."""

    def __init__(self, host, plan):
        argument = json.dumps({"sites": plan.asked, "hot": plan.killed, "clients": CLIENTS})
        container = host.backend.host
        self.process = subprocess.Popen(
            ["docker", "exec", "-i", container, "python3", "/opt/load/clients.py", argument],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.requests = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.requests = json.loads(self.process.communicate(timeout=90)[0])


class Faults(threading.Thread):
    """What happens to the daemons while the run goes on: kills, reloads and restarts."""

    def __init__(self, host, plan):
        super().__init__()
        self.host, self.plan = host, plan
        self.kills, self.failures = [], []

    def run(self):
        try:
            for pause in (2, 4):
                time.sleep(pause)
                self.once()
        except BaseException as failure:
            self.failures.append(failure)

    def once(self):
        killed = self.host.check_output(
            f"python3 /opt/load/kill-masters.py {shlex.join(self.plan.killed)}; "
            f"systemctl try-reload-or-restart {units(self.plan.reloaded)}; "
            f"systemctl try-restart {units(self.plan.restarted)}; "
            "systemctl reload apache2"
        )
        self.kills += json.loads(killed)


def units(names):
    return " ".join(f"fastcgi-{name}.service" for name in names)


def executed_by_the_killed(request, kills):
    """Whether a master died while this request was under way at its site."""
    return any(
        kill["site"] == request["site"]
        and request["start"] <= kill["until"]
        and request["end"] >= kill["from"]
        and request["end"] <= kill["until"] + 2  # its death ends it at once; what waits is served
        for kill in kills
    )


@pytest.fixture(scope="module")
def state():
    """The list of sites that the host has; each round leaves its own."""
    return {"sites": ACCOUNTS[:PRESENT]}


@pytest.mark.parametrize("number", ROUNDS)
def test_no_request_fails(host, converge, state, number):
    plan = Plan(number, state["sites"])
    started = time.monotonic()
    with Load(host, plan) as load:
        faults = Faults(host, plan)
        faults.start()
        done = converge(plan.after)
        faults.join()
        time.sleep(1)
    seconds = time.monotonic() - started
    assert done.returncode == 0, done.stdout
    assert faults.failures == []
    state["sites"] = plan.after

    failed = [request for request in load.requests if request["wrong"]]
    excepted = [request for request in failed if executed_by_the_killed(request, faults.kills)]
    unexcused = [request for request in failed if request not in excepted]
    asked = {request["site"] for request in load.requests}
    print(
        f"\nround {number}: {seconds:.0f} s, {len(load.requests)} requests on {len(plan.asked)} sites, "
        f"{len(unexcused)} failed, {len(excepted)} more with one of {len(faults.kills)} killed masters; "
        f"slowest {max(request['end'] - request['start'] for request in load.requests):.1f} s"
    )
    assert unexcused == []
    assert len(excepted) <= sum(kill["workers"] for kill in faults.kills), excepted
    assert len(load.requests) > 100, "no load"
    assert asked == set(plan.asked)
    assert len(faults.kills) >= len(plan.killed)

    sites = {site["name"] for site in plan.after}
    assert served_by_php(host, sites.union(plan.gone)) == sites
    assert host.check_output("systemctl --failed --no-legend") == ""


def served_by_php(host, names):
    """Those of the names that the page answers for; one process asks for all."""
    requests = " --next ".join(
        f"-s -m 30 -o /dev/null -w '{name} %{{http_code}} %{{content_type}}\\n' -H 'Host: {name}.test' "
        "'http://127.0.0.1/?id=x'"
        for name in sorted(names)
    )
    lines = host.check_output(f"curl {requests}").splitlines()
    return {line.split()[0] for line in lines if line.endswith(" 200 application/json")}

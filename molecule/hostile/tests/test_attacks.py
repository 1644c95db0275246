"""No attack succeeds on a host with default settings, and each one bites on the weak host."""

import json
import shlex
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from grounds import MISSING, PAIRS, ROOT, WEAK_PAIRS, grounds  # first, since it says where the collection is

from ansible_collections.webhosting.fastcgi.tests.attacks.ground import CONFIG_SET  # isort: skip
from ansible_collections.webhosting.fastcgi.tests.attacks.suite import ALL  # isort: skip

RESULT = ROOT / ".cache/attacks/result.json"
RACE = "file: a directory swapped for a link while root converges"
RECORD = ROOT / "docs/attacks.json"
TRIED = [
    (one.name, ground) for one in ALL for ground, (engine, _, _) in PAIRS.items() if engine in one.engines
]
testinfra_hosts = ["hostile-debian12"]
NOT_TRIED = {"succeeded": False, "layer": ""}


@pytest.fixture(scope="module")
def results(host):
    """All attacks on all grounds, tried once: each attack and ground, with what became of it."""
    found = {}
    for where, with_itk in ((host, False), (host.get_host("docker://hostile-itk"), True)):
        given = json.dumps(grounds(with_itk))
        said = where.check_output("cd /opt && printf %%s %s | python3 -m attacks 2>/run/attacks.log", given)
        found |= {(one["attack"], one["ground"]): one for one in json.loads(said)}
    return found


@pytest.mark.parametrize(("name", "ground"), TRIED)
def test_attack_is_stopped(results, name, ground):
    if PAIRS[ground][0] in MISSING:
        pytest.skip(MISSING[PAIRS[ground][0]])
    outcome = results[name, ground]
    if not outcome["succeeded"] and not outcome["layer"]:
        pytest.skip(outcome["evidence"])
    assert not outcome["succeeded"], outcome["evidence"]
    assert outcome["layer"] != "?", f"it was stopped, but nothing tells by what: {outcome['evidence']}"


@pytest.mark.parametrize("name", [one.name for one in ALL])
def test_attack_bites_on_the_weak_host(results, name):
    outcomes = [results[name, ground] for ground in WEAK_PAIRS if (name, ground) in results]
    if not outcomes:
        pytest.skip("the module that the attack is for is not here")
    if not any(outcome["layer"] or outcome["succeeded"] for outcome in outcomes):
        pytest.skip(outcomes[0]["evidence"])
    assert any(outcome["succeeded"] for outcome in outcomes), outcomes


# ---------------------------------------------------------------- renames and swaps while root converges


def swapping(host, user, directory, target, during):
    """Let a tenant swap a directory for a link while `during` goes on; whether it did so until the end."""
    arguments = ["/opt/swap.py", "120", directory, target]
    account = ["--property", f"User={user}", "--property", "StandardOutput=file:/run/swapped"]
    host.check_output(f"systemd-run --unit=swapping {shlex.join(account)} python3 {shlex.join(arguments)}")
    try:
        during()
        return host.run("systemctl is-active swapping").stdout.strip() == "active"
    finally:
        host.run("systemctl stop swapping")


@pytest.fixture(scope="module")
def race(host, play):
    """What became of a directory of the victim's, on the host and on the weak one."""
    look = "stat --format '%U %G %a' /srv/target; ls -A /srv/target"
    host.check_output("install -d -o victim -g victim -m 0700 /srv/target")
    before = host.check_output(look)

    def converge():
        for _ in range(2):
            said = play(
                ROOT / "playbooks/site.yml", {"ansible_become": False}, "--tags", "site_accounts_configure"
            ).stdout
            assert "Make the directories of all sites" in said, said

    raced = swapping(host, "racer", "/srv/racer/inner", "/srv/target", converge)
    after = host.check_output(look)

    host.check_output("install -d -o weak-mallory /srv/weak/race")
    naive = "for n in $(seq 100); do /usr/local/bin/naive-deploy /srv/weak/race/inner; done 2>&1 | tail -1"
    weak_raced = swapping(
        host, "weak-mallory", "/srv/weak/race/inner", "/srv/target", lambda: host.check_output(naive)
    )
    return {"before": before, "after": after, "weak": host.check_output(look), "raced": raced and weak_raced}


def test_no_swap_leads_root_to_files_of_others(race):
    assert race["raced"], "the tenant gave up by itself: there was no race"
    assert race["after"] == race["before"]


def test_the_same_swap_leads_a_naive_deploy_there(race):
    assert race["weak"] != race["before"]


# ---------------------------------------------------------------- what is told of it


def test_the_documentation_tells_of_this_result(results, race):
    """Where a host cannot try something that another could, the record of that one stands."""
    seen = summary(results)
    seen.append(
        {
            "attack": RACE,
            "facts": "SEC-17",
            "outcomes": {
                "proxy_fcgi": CONFIG_SET if race["after"] == race["before"] else "succeeded",
                "weak host": "succeeded" if race["weak"] != race["before"] else "stopped",
            },
        }
    )
    told = json.loads(RECORD.read_text()) if RECORD.exists() else []
    known = {(one["attack"], ground): outcome for one in told for ground, outcome in one["outcomes"].items()}
    for one in seen:
        for ground, outcome in one["outcomes"].items():
            if outcome == "not tried":
                one["outcomes"][ground] = known.get((one["attack"], ground), outcome)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(seen, indent=1) + "\n")
    assert seen == told, f"{RESULT} differs from {RECORD}; once it is right: tools/attack-table --record"


def summary(results):
    """An attack each, with one word for what became of it on each ground."""
    found = []
    for one in ALL:
        outcomes = {
            ground: word(results.get((one.name, ground), NOT_TRIED))
            for ground, (engine, _, _) in PAIRS.items()
            if engine in one.engines
        }
        weak = [word(results[one.name, ground]) for ground in WEAK_PAIRS if (one.name, ground) in results]
        tried = [each for each in weak if each != "not tried"]
        outcomes["weak host"] = "succeeded" if "succeeded" in weak else "stopped" if tried else "not tried"
        found.append({"attack": one.name, "facts": one.facts, "outcomes": outcomes})
    return found


def word(outcome):
    return "succeeded" if outcome["succeeded"] else outcome["layer"] or "not tried"

"""How long ansible-playbook takes, by the wall clock."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import time
from typing import Any

from .host import NAME, ROOT, Host
from .sites import sites, write_inventory

PLAYBOOK = "playbooks/site.yml"
LOOP_PLAYBOOK = "bench/loop.yml"
TIMEOUTS_PLAYBOOK = "bench/timeouts.yml"
LOG = ROOT / ".cache" / "bench" / "ansible.log"


def play(
    playbook: str,
    wanted: list[dict[str, Any]],
    changes: bool | None = None,
    tags: str = "all",
    environment: dict[str, str] | None = None,
    **defaults: Any,
) -> float:
    """Run a playbook and return its seconds.

    `changes` says whether the run has to change something: a number that was measured for the wrong thing
    is worse than none.
    """
    inventory = write_inventory(wanted, defaults)
    command = [ROOT / ".venv/bin/ansible-playbook", "-i", inventory, "--tags", tags, playbook]
    variables = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", **(environment or {})}
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    LOG.write_text(done.stdout + done.stderr)
    recap = re.search(rf"{NAME}\s*: ok=\d+\s+changed=(\d+)", done.stdout)
    if done.returncode != 0 or not recap:
        raise SystemExit(f"bench: {playbook} with {len(wanted)} sites failed; see {LOG}")
    if changes is not None and changes != (recap[1] != "0"):
        raise SystemExit(f"bench: {playbook} with {len(wanted)} sites: changed={recap[1]}; see {LOG}")
    return seconds


def unchanged(wanted: list[dict[str, Any]], times: int, **defaults: Any) -> dict[str, Any]:
    """The seconds of several unchanged runs of the playbook, and their median."""
    runs = [play(PLAYBOOK, wanted, changes=False, **defaults) for _ in range(times)]
    return {"unchanged_runs": runs, "unchanged": statistics.median(runs)}


def life_of(count: int, times: int) -> dict[str, Any]:
    """Seconds for each thing that happens to a list of `count` sites, on a host that is fresh at first."""
    seconds: dict[str, Any] = {"first": play(PLAYBOOK, sites(count), changes=True)}
    seconds.update(unchanged(sites(count), times))
    # each change starts from the plain list, and the way back is a change of its own kind as well
    seconds["one_changed"] = statistics.median(
        play(PLAYBOOK, sites(count, changed=changed), changes=True) for changed in (1, 0, 1)
    )
    if count > 3:
        play(PLAYBOOK, sites(count))
        seconds["three_changed"] = statistics.median(
            play(PLAYBOOK, sites(count, changed=changed), changes=True) for changed in (3, 0, 3)
        )
    if count > 1:
        play(PLAYBOOK, sites(count))
        seconds["one_removed"] = play(PLAYBOOK, sites(count)[:-1], changes=True)
        seconds["one_added"] = play(PLAYBOOK, sites(count), changes=True)
    return seconds


def loop_per_site(host: Host, counts: tuple[int, int] = (2, 10)) -> float:
    """Seconds per site of the plain role's unchanged run, its fixed part taken off.

    `host` has more than `counts` sites from the collection; the plain role finds them all as it would
    write them, which shows that both write the same files.
    """
    few, many = counts
    spent = {count: play(LOOP_PLAYBOOK, sites(count), changes=False) for count in counts}
    return (spent[many] - spent[few]) / (many - few)


def proof(host: Host, count: int, times: int) -> dict[str, float]:
    """Seconds that timeout_order takes for `count` sites.

    `module` is what the module itself takes on the host, from the start of its Python to its end; `task` adds
    what Ansible makes of 4 kB of report per site, and is measured beside a module that does nothing.
    """
    spent = {
        tags: statistics.median(play(TIMEOUTS_PLAYBOOK, sites(count), False, tags) for _ in range(times))
        for tags in ("nothing", "timeouts")
    }
    with_files = {"ANSIBLE_KEEP_REMOTE_FILES": "1", "ANSIBLE_PIPELINING": "0"}
    play(TIMEOUTS_PLAYBOOK, sites(count), False, "timeouts", environment=with_files)
    module = host.shell("ls /root/.ansible/tmp/*/AnsiballZ_timeout_order.py").strip()
    runs = []
    for _ in range(times):
        started = time.monotonic()
        host.shell(f"python3 {module} > /dev/null")
        runs.append(time.monotonic() - started)
    return {"module": statistics.median(runs), "task": spent["timeouts"] - spent["nothing"]}

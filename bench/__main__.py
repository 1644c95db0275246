"""Measure what the collection costs, print tables with ratios, and write .cache/bench/result.json."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from . import converge, fairness, memory, report, requests
from .host import ROOT, Host, prepare_image
from .sites import STATIC_POOL, sites

RESULT = ROOT / ".cache" / "bench" / "result.json"
COUNTS = (1, 10, 100, 1000)
PARTS = ("converge", "fairness", "fcgid", "loop", "memory", "requests", "timeouts")
FCGID: dict[str, Any] = {"engine": "fcgid", "pm": {"max_children": 5}}
"""What all sites have; 200 of them fit into mod_fcgid's table that way."""
OF_THEIR_OWN = {"fairness", "fcgid", "requests"}
"""Parts that need no list of sites from outside."""


def say(text: str) -> None:
    """Tell what is being measured: it takes minutes."""
    print(f"bench: {time.strftime('%H:%M:%S')} {text}", flush=True)


def measure(counts: list[int], parts: list[str], times: int) -> dict[str, Any]:
    """Measure on a fresh host for each count."""
    result: dict[str, Any] = {"counts": counts, "converge": {}}
    idle: dict[int, dict[str, Any]] = {}
    for count in counts:
        with Host() as host:
            say(f"{count} sites on a fresh host")
            if "converge" in parts:
                result["converge"][count] = converge.life_of(count, times)
            else:
                converge.play(converge.PLAYBOOK, sites(count))
            if "memory" in parts and count in (counts[0], counts[-1]):
                say(f"memory and first requests with {count} sites")
                idle[count] = memory.wake(host, count)
            if "timeouts" in parts and count == counts[-1]:
                say(f"the timeouts of {count} sites")
                result["timeouts"] = converge.proof(host, count, times)
            if "loop" in parts and count == 10:
                say("the plain role that loops")
                result["loop_ms_per_site"] = converge.loop_per_site(host) * 1000
    if idle:
        few, many = counts[0], counts[-1]
        result["memory"] = idle[many]
        if few != many:
            result["idle_kB_per_site"] = memory.idle_kb_per_site(idle[few], few, idle[many], many)
    return derived({**result, **measure_apart(parts, times)})


def measure_apart(parts: list[str], times: int) -> dict[str, Any]:
    """Measure what has hosts of its own."""
    result: dict[str, Any] = {}
    if "fcgid" in parts:
        result["fcgid"] = measure_fcgid(times)
    if "fairness" in parts:
        result["fairness"] = measure_fairness()
    if "requests" in parts:
        result["requests"] = measure_requests()
    return result


def measure_fcgid(times: int) -> dict[int, dict[str, Any]]:
    """Converge sites for which Apache starts PHP, as many as mod_fcgid has room for."""
    result = {}
    with Host():
        for count in (10, 200):
            say(f"{count} sites with fcgid")
            seconds = converge.play(converge.PLAYBOOK, sites(count), changes=True, **FCGID)
            # 190 sites more take less time than equal runs differ by, so there are more of them
            result[count] = {"first": seconds, **converge.unchanged(sites(count), 3 * times, **FCGID)}
    return result


def measure_fairness() -> dict[str, Any]:
    """Compare a busy host with the quiet one, on a fresh host with two sites."""
    with Host() as host:
        say("fairness")
        converge.play(converge.PLAYBOOK, sites(2))
        return fairness.compare(host)


def measure_requests() -> dict[str, Any]:
    """Compare the engines on a fresh host with one site."""
    with Host() as host:
        say("requests")
        converge.play(converge.PLAYBOOK, sites(1, pm=STATIC_POOL))
        return requests.compare(host)


def derived(result: dict[str, Any]) -> dict[str, Any]:
    """Add the ratios."""
    counts, seconds = result["counts"], result["converge"]
    if len(seconds) > 1:
        below, most = counts[-2:]
        spent = seconds[most]["unchanged"] - seconds[below]["unchanged"]
        result["unchanged_ms_per_site"] = spent / (most - below) * 1000
        if "loop_ms_per_site" in result and result["unchanged_ms_per_site"] > 0:
            result["loop_ratio"] = result["loop_ms_per_site"] / result["unchanged_ms_per_site"]
    return result


def main() -> int:
    """Measure and report; the status says whether every bar is met."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--sites", type=int, default=1000, help="the longest list")
    parser.add_argument("--times", type=int, default=3, help="unchanged runs, of which the median counts")
    parser.add_argument("--only", choices=PARTS, nargs="*", default=list(PARTS), help="measure only this")
    arguments = parser.parse_args()
    counts = sorted({count for count in COUNTS if count < arguments.sites} | {arguments.sites})

    prepare_image()
    if set(arguments.only) <= OF_THEIR_OWN:
        apart = measure_apart(arguments.only, arguments.times)
        result = derived({"counts": [], "converge": {}, **apart})
    else:
        result = measure(counts, arguments.only, arguments.times)
    verdicts = report.bars(result)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    verdict = {"bars": [bar.as_dict() for bar in verdicts], "disturbances": report.disturbances(result)}
    RESULT.write_text(json.dumps({**result, **verdict}, indent=1) + "\n")
    print("\n" + report.text(result))
    print(f"\nAll numbers: {RESULT.relative_to(ROOT)}. How to read them: docs/bench.md")
    return 0 if all(bar.met for bar in verdicts) and not verdict["disturbances"] else 1


if __name__ == "__main__":
    raise SystemExit(main())

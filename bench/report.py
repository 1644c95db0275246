"""The bars, and the tables that people read."""

from __future__ import annotations

from typing import Any, NamedTuple

COLUMNS = {
    "first": "first run",
    "unchanged": "unchanged",
    "one_changed": "1 changed",
    "three_changed": "3 changed",
    "one_removed": "1 removed",
    "one_added": "1 added",
}


class Bar(NamedTuple):
    """Something that has to hold."""

    name: str
    found: float
    limit: float
    unit: str
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it does."""
        return self.found >= self.limit if self.at_least else self.found <= self.limit

    def as_dict(self) -> dict[str, Any]:
        """For the JSON file."""
        return {**self._asdict(), "met": self.met}


def bars(result: dict[str, Any]) -> list[Bar]:
    """Every bar that the result has numbers for."""
    converge, counts = result["converge"], result["counts"]
    found = []
    if 1 in converge:
        found.append(Bar("unchanged run with one site", converge[1]["unchanged"], 15, "s"))
    if len(converge) > 1:
        below, most = counts[-2:]
        found += [
            Bar(
                f"unchanged run, per site between {below} and {most}",
                result["unchanged_ms_per_site"],
                5,
                "ms",
            ),
            Bar(f"first run with {most} sites, packages in place", converge[most]["first"], 120, "s"),
            Bar(
                f"one of {most} changed, beyond an unchanged run",
                converge[most]["one_changed"] - converge[most]["unchanged"],
                2,
                "s",
            ),
        ]
    if "fcgid" in result:
        below, most = sorted(result["fcgid"])
        spent = result["fcgid"][most]["unchanged"] - result["fcgid"][below]["unchanged"]
        found.append(
            Bar(
                f"unchanged run with fcgid, per site between {below} and {most}",
                spent / (most - below) * 1000,
                5,
                "ms",
            )
        )
    if "loop_ratio" in result:
        found.append(Bar("plain loop role, times slower per site", result["loop_ratio"], 100, "x", True))
    if "timeouts" in result:
        found.append(Bar(f"timeout_order for {counts[-1]} sites", result["timeouts"]["module"], 2, "s"))
    if "memory" in result:
        most = counts[-1]
        found += [
            Bar(f"PHP processes of {most} idle sites", result["memory"]["idle_processes"], 0, ""),
            Bar(
                f"first request to one of {most} idle sites", result["memory"]["first_request_ms"], 150, "ms"
            ),
        ]
    for case, kinds in result.get("fairness", {}).items():
        for kind, numbers in kinds.items():
            if "ratio" in numbers:
                name = f"p99 of a neighbour's {kind} beside a hog ({case}) / quiet host"
                found.append(Bar(name, numbers["ratio"], 2, "x"))
                found.append(
                    Bar(f"requests without an answer there ({kind}, {case})", numbers["failed"], 0, "")
                )
    for page, engines in result.get("requests", {}).items():
        ratio = engines["proxy_fcgi"]["ratio_to_nginx_fpm"]
        found.append(Bar(f"throughput of proxy_fcgi / nginx + FPM, {page} page", ratio, 0.9, "x", True))
    return found


MOST_SPREAD = 1.25
"""The longest of several equal runs over the shortest: beyond it something else had the processor."""


def disturbances(result: dict[str, Any]) -> list[str]:
    """Why the numbers of this run decide nothing; empty where they do."""
    found = []
    for count, seconds in [*result["converge"].items(), *result.get("fcgid", {}).items()]:
        runs = seconds.get("unchanged_runs", [])
        if runs and max(runs) > MOST_SPREAD * min(runs):
            found.append(f"equal runs with {count} sites took {min(runs):.1f} to {max(runs):.1f} s")
    medians = [(count, seconds["unchanged"]) for count, seconds in result["converge"].items()]
    for (few, shorter), (many, longer) in zip(medians, medians[1:]):
        if longer * MOST_SPREAD < shorter:
            found.append(f"{many} sites took {longer:.1f} s, and {few} took {shorter:.1f} s")
    return found


def table(rows: list[list[str]]) -> str:
    """Rows under the first of them; the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    )


def text(result: dict[str, Any]) -> str:
    """All of it."""
    parts = [converge_table(result)] if result["converge"] else []
    if "loop_ratio" in result:
        parts.append(
            f"A plain role that loops over the sites takes {result['loop_ms_per_site']:.0f} ms per site to "
            f"change nothing, this collection {result['unchanged_ms_per_site']:.1f} ms: the ratio is "
            f"{result['loop_ratio']:.0f}."
        )
    if "timeouts" in result:
        parts.append(
            f"For {result['counts'][-1]} sites timeout_order takes {result['timeouts']['module']:.2f} s, "
            f"and its task in Ansible {result['timeouts']['task']:.2f} s."
        )
    if "memory" in result:
        parts.append(memory_table(result))
    if "fairness" in result:
        parts.append(fairness_table(result))
    if "requests" in result:
        parts.append(requests_table(result))
    parts.append(bars_table(result))
    if disturbances(result):
        parts.append("DISTURBED, so no bar is decided: " + "; ".join(disturbances(result)))
    return "\n\n".join(parts)


def converge_table(result: dict[str, Any]) -> str:
    """Seconds of each kind of run, and each as a multiple of the unchanged one."""
    rows = [["sites", *COLUMNS.values()]]
    for count, seconds in result["converge"].items():
        cells = [
            f"{seconds[key]:.1f} s ({seconds[key] / seconds['unchanged']:.2f})" if key in seconds else "-"
            for key in COLUMNS
        ]
        rows.append([str(count), *cells])
    return "Converging, and the ratio to an unchanged run:\n" + table(rows)


def requests_table(result: dict[str, Any]) -> str:
    """Each engine beside nginx + FPM."""
    rows = [["page", "engine", "requests/s", "ratio", "p50", "p99", "CPU of server", "of PHP"]]
    for page, engines in result["requests"].items():
        for engine, numbers in engines.items():
            rows.append(
                [
                    page,
                    engine,
                    f"{numbers['requests_per_second']:.0f}",
                    f"{numbers['ratio_to_nginx_fpm']:.2f}",
                    f"{numbers['p50_ms']:.1f} ms",
                    f"{numbers['p99_ms']:.1f} ms",
                    f"{numbers['server_cpu_us']:.0f} us",
                    f"{numbers['php_cpu_us']:.0f} us",
                ]
            )
    return "Requests, 16 at a time, and the ratio to nginx + FPM:\n" + table(rows)


def fairness_table(result: dict[str, Any]) -> str:
    """What a neighbour's visitors notice of a hog."""
    rows = [["beside a hog", "asked", "p50", "p99", "ratio", "no answer"]]
    for case, kinds in result["fairness"].items():
        for kind, numbers in kinds.items():
            times = (f"{numbers[key]:.1f} ms" for key in ("p50_ms", "p99_ms"))
            rows.append([case, kind, *times, f"{numbers.get('ratio', 1):.2f}", f"{numbers['failed']:.0f}"])
    return "A neighbour of a site that takes all it can get, and the ratio to the quiet host:\n" + table(rows)


def memory_table(result: dict[str, Any]) -> str:
    """Idle and active sites."""
    memory = result["memory"]
    rows = [
        [f"Memory with {result['counts'][-1]} sites", "processes", "PSS"],
        ["an idle site", f"{memory['idle_processes']}", f"{result.get('idle_kB_per_site', 0):.0f} kB"],
        [
            "an active site",
            f"{memory['active_processes_per_site']:.1f}",
            f"{memory['active_kB_per_site'] / 1024:.1f} MB",
        ],
    ]
    return table(rows)


def bars_table(result: dict[str, Any]) -> str:
    """What has to hold, and whether it does."""
    rows = [["bar", "found", "limit", ""]]
    for bar in bars(result):
        sign = ">=" if bar.at_least else "<="
        found, limit = (f"{value:.4g} {bar.unit}".strip() for value in (bar.found, bar.limit))
        rows.append([bar.name, found, f"{sign} {limit}", "met" if bar.met else "NOT met"])
    return table(rows)

# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What timeout_order found, as data for a playbook and as a table for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .timeout_rules import OFF_AT_ZERO, Chain, Clock, Finding, Verdict

COLUMNS = (
    ("PHP", "max_execution_time"),
    ("slow log", "request_slowlog_timeout"),
    ("terminate", "request_terminate_timeout"),
    ("heartbeat", "heartbeat"),
    ("Apache", "proxy_timeout"),
    ("reload", "process_control_timeout"),
    ("stop", "stop_timeout"),
)
"""The clocks in the order from the inside out."""


def site(verdict: Verdict) -> dict[str, Any]:
    """One chain with its verdict, of nothing but strings, numbers, lists and dictionaries."""
    chain = verdict.chain
    return {
        "server": chain.server,
        "holds": chain.holds,
        "engine": chain.engine,
        "backend": chain.backend,
        "address": chain.address,
        "source": str(chain.source or ""),
        "clocks": {name: clock_dict(clock) for name, clock in chain.clocks.items()},
        "findings": [finding_dict(finding) for finding in verdict.findings],
        "accepted": [finding_dict(finding) for finding in verdict.accepted],
        "undecided": list(verdict.undecided),
        "ok": verdict.ok,
    }


def clock_dict(clock: Clock) -> dict[str, Any]:
    setting = clock.setting
    value = setting.value
    if isinstance(value, float) and not math.isfinite(value):
        value = None
    return {
        "label": clock.label,
        "value": value,
        "source": str(setting.source or ""),
        "default_of": setting.default_of,
        "undecided": setting.undecided,
    }


def finding_dict(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "message": finding.message,
        "fix": finding.fix,
        "clocks": list(finding.clocks),
    }


def table(verdicts: Sequence[Verdict]) -> list[str]:
    """Lines for a terminal: one for each chain, and below it what does not hold."""
    if not verdicts:
        return ["no handler of .php was found"]
    rows = [("site", "engine", *(title for title, _name in COLUMNS), "")]
    rows += [row(verdict) for verdict in verdicts]
    widths = [max(len(each[column]) for each in rows) for column in range(len(rows[0]))]
    lines = []
    for each, verdict in zip(rows, [None, *verdicts]):
        cells = (
            text.ljust(width) if number < 2 else text.rjust(width)
            for number, (text, width) in enumerate(zip(each, widths))
        )
        lines.append("  ".join(cells).rstrip())
        lines.extend(details(verdict) if verdict else [])
    return lines


def row(verdict: Verdict) -> tuple[str, ...]:
    chain = verdict.chain
    name = f"{chain.server} [{chain.holds}]" if chain.holds else chain.server
    seconds = (number(chain, clock) for _title, clock in COLUMNS)
    return (name, f"{chain.engine} + {chain.backend}", *seconds, word(verdict))


def number(chain: Chain, name: str) -> str:
    clock = chain.clocks.get(name)
    if clock is None:
        return "-"
    if clock.setting.undecided:
        return "?"
    value = clock.setting.value
    if value is None:
        return "-"
    if value == 0 and name in OFF_AT_ZERO:
        return "never"
    return f"{value:g}" if isinstance(value, (int, float)) and math.isfinite(value) else "never"


def word(verdict: Verdict) -> str:
    if verdict.ok:
        return "ok"
    return "undecided" if verdict.undecided and not verdict.findings else "WRONG"


def details(verdict: Verdict) -> list[str]:
    lines = []
    for finding in verdict.findings:
        lines.append(f"    {finding.severity} {finding.rule}: {finding.message}")
        lines.extend(f"        {clock}" for clock in finding.clocks.values())
        lines.append(f"        what would do: {finding.fix}")
    lines.extend(f"    undecided: {reason}" for reason in verdict.undecided)
    return lines

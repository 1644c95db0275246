"""What becomes of a script, from nothing but what the module says of its site.

docs/timeouts.md says what the clocks mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MUCH = 16
"""Seconds that the scripts would take: the constant of files/site/marks.inc."""
UPLOAD = 8
"""Seconds for which the client goes on with its upload."""
SHARE = 4
"""Seconds that one of processor time may last, on a machine that others use too."""
TICK = 0.2
"""Seconds of processor time that are missed where it is looked at: some at the start, some at the end."""
KILL = 6
"""Seconds that mod_fcgid takes to kill: it asks first, and looks at its processes once a second."""
STATUS = {"php": 500, "fpm": 503, "apache": 504, "script": 200}


@dataclass(frozen=True)
class Outcome:
    """Who ends a request, when, with which status; and whether its worker then goes on."""

    who: str
    status: int
    earliest: float
    latest: float
    left: bool = False

    def __str__(self) -> str:
        return told(self.who, self.status, self.left)


def told(who: str, status: int, left: bool) -> str:
    return f"{status} by {who}" + (", worker left at work" if left else "")


class Site:
    """What the module returned for a site; clocks that are off are infinite."""

    def __init__(self, returned: dict) -> None:
        self.ok, self.engine, self.backend = returned["ok"], returned["engine"], returned["backend"]
        self.findings = {finding["rule"] for finding in returned["findings"]}
        self.undecided = returned["undecided"]
        self.clocks = returned["clocks"]

    def value(self, name: str):
        return self.clocks[name]["value"] if name in self.clocks else None

    def seconds(self, name: str) -> float:
        return float(self.value(name) or math.inf)

    # ------------------------------------------------------------ one script

    def script(self, name: str, processor: float = math.inf, seconds: float = 0) -> list[Outcome]:
        """The outcomes that are possible: more than one where clocks are due at the same time.

        :param processor: seconds of it that the script got. Before E of them PHP's own limit does not count,
            and on a machine that others use too the next clock may come first.
        :param seconds: for which it ran.
        """
        own = self.seconds("max_execution_time")
        if self.takes_processor(name) and processor < own:
            due = [outcome for outcome in self.script("sleep") if outcome.earliest <= seconds]
            if due:
                return due if processor < own - TICK else list(dict.fromkeys([*self.script(name), *due]))
        if name == "quick":
            return [Outcome("script", 200, 0, 2)]
        if self.engine == "fcgid":
            return self.fcgid(name)
        ends = [("script", UPLOAD, UPLOAD) if name == "upload" else ("script", MUCH, MUCH)]
        limit, beat = self.seconds("request_terminate_timeout"), self.seconds("heartbeat")
        if limit < math.inf:
            # where the backtrace is due at the same moment, the kill waits for the next heartbeat (TMO-04)
            late = 2 * beat if self.seconds("request_slowlog_timeout") == limit else beat
            ends.append(("fpm", limit, limit + late))
        if self.takes_processor(name):
            own = self.seconds("max_execution_time")
            ends.append(("php", own, own * SHARE))
        if name in ("sleep", "busy", "limitless"):  # the others are not silent (TMO-07, TMO-08)
            patience = self.seconds("proxy_timeout")
            ends.append(("apache", patience, patience))
        return [self.outcome(name, end, ends) for end in self.first(ends)]

    def takes_processor(self, name: str) -> bool:
        return name == "busy" or (name == "limitless" and bool(self.value("max_execution_time_locked")))

    def first(self, ends: list[tuple]) -> list[tuple]:
        """Those that can come first."""
        bound = min(latest for _who, _earliest, latest in ends)
        return [end for end in ends if end[1] <= bound]

    def outcome(self, name: str, end: tuple, ends: list[tuple]) -> Outcome:
        who, earliest, latest = end
        # what has begun to answer cannot change its status any more
        status = 200 if name == "drip" and who == "fpm" else STATUS[who]
        left = who == "apache" and all(other is end or other[2] > latest for other in ends)
        # PHP's own limit is kept by the processor time, whatever the wall clock says of it.
        return Outcome(who, status, earliest, math.inf if who == "php" else latest, left)

    def fcgid(self, name: str) -> list[Outcome]:
        """mod_fcgid takes the whole of a body before it calls PHP, and kills what it gives up."""
        silent, whole = self.seconds("proxy_timeout"), self.seconds("busy_timeout")
        if name == "upload":
            return [Outcome("script", 200, UPLOAD, UPLOAD)]
        if name == "drip":
            return [Outcome("apache", 500, whole, whole + KILL)]
        ends = [("apache", silent, silent)]
        if self.takes_processor(name):
            own = self.seconds("max_execution_time")
            ends.append(("php", own, own * SHARE))
        if name == "sleep" and whole < silent:
            # the signal that asks a process to go ends its sleep, and so the script ends early (REL-04)
            return [Outcome("script", 200, whole, whole + KILL)]
        return [
            Outcome(end[0], 500, end[1], self.outcome(name, end, ends).latest) for end in self.first(ends)
        ]

    # ------------------------------------------------------------ several at once

    def trial(self, trial: str, number: int) -> list[Outcome]:
        """What becomes of requests that share the workers; all of the outcomes are seen."""
        patience = self.seconds("proxy_timeout")
        sleeping = self.script("sleep")
        gives_up = Outcome("apache", 504, patience, math.inf, left=False)
        quick = Outcome("script", 200, 0, patience)
        if trial in ("crowd", "after the crowd"):
            held = any(outcome.left for outcome in sleeping)
            return sleeping if trial == "crowd" else [gives_up] if held else [quick]
        if trial == "queue":
            late = Outcome("apache", 504, patience, math.inf, left=True)
            return [*sleeping, late] if {"TMO-09", "TMO-10"} & self.findings else sleeping
        if trial == "rush":
            starved = self.value("enablereuse") and number > self.value("max_children")
            return [quick, gives_up] if starved else [quick]
        if trial == "after the pause":
            killed = "TMO-15" in self.findings
            return [Outcome("fpm" if killed else "script", 200, 0, 2)]
        if trial == "row":
            fails = Outcome("apache", 500, 0, 5)
            return [quick, fails] if "TMO-19" in self.findings else [quick]
        return [quick]

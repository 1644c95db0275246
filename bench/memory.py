"""What an idle site costs, and one that is in use."""

from __future__ import annotations

import json
import statistics
from typing import Any

from .host import Host

ASKED = 30
"""Sites that get a first request."""

PAGES = """
for root in /var/www/sites/*; do
  echo '<?php echo posix_getpwuid(posix_geteuid())["name"];' > "$root/index.php"
done
"""


def usage(host: Host) -> dict[str, Any]:
    """Processes and memory of the sites, of Apache and of systemd."""
    return dict(json.loads(host.python("memory.py")))


def wake(host: Host, count: int) -> dict[str, Any]:
    """Measure a host with `count` idle sites, ask some of them, and measure again."""
    host.shell(PAGES)
    idle = usage(host)
    # spread over the list, and no two beside each other
    asked = min(ASKED, count)
    names = [f"site-{1 + number * count // asked:04}" for number in range(asked)]
    times = json.loads(host.python("first_requests.py", *names))
    active = usage(host)
    return {
        "idle_processes": idle["sites"]["processes"],
        "idle": idle,
        "first_request_ms": statistics.median(times),
        "first_request_slowest_ms": max(times),
        "active_processes_per_site": active["sites"]["processes"] / asked,
        "active_kB_per_site": active["sites"]["kB"] / asked,
    }


def idle_kb_per_site(few: dict[str, Any], few_count: int, many: dict[str, Any], many_count: int) -> float:
    """What one more idle site adds to Apache and systemd, from two hosts that differ in nothing else."""
    total = [
        sum(usage["idle"][part]["kB"] for part in ("sites", "apache", "systemd")) for usage in (few, many)
    ]
    return (total[1] - total[0]) / (many_count - few_count)

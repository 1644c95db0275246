"""One site takes all it can get: what the visitors of its neighbour notice of it, beside the quiet host."""

from __future__ import annotations

import json
import statistics
from typing import Any

from .host import Host

HOG, NEIGHBOUR = "site-0001", "site-0002"
ROUNDS = 3
SECONDS = 6

# What the hog's workers do, all of them, with more requests behind them than Apache has workers.
CASES = {
    "waiting": "while (microtime(true) < $until) usleep(50000);",
    "computing": "while (microtime(true) < $until);",
    "memory": "while (microtime(true) < $until) { $held = str_repeat('x', 100 << 20); }",
    "processes": (
        "for ($n = 0; $n < 20; $n++)"
        " $held[] = proc_open(['timeout', $_GET['seconds'], 'sh', '-c', 'while :; do :; done'], [], $pipes);"
        "foreach ($held as $one) proc_close($one);"
    ),
}
PAGE = "<?php for ($i = 0, $sum = 0; $i < 10000; $i++) { $sum += $i % 7; } echo $sum;"


def write_pages(host: Host) -> None:
    """Pages of both sites."""
    for case, code in CASES.items():
        page = f"<?php $until = microtime(true) + $_GET['seconds']; {code}"
        host.write(f"/var/www/sites/{HOG}/{case}.php", page)
    host.write(f"/var/www/sites/{NEIGHBOUR}/page.php", PAGE)
    host.write(f"/var/www/sites/{NEIGHBOUR}/style.css", "p { color: teal; }")


def one_round(host: Host) -> dict[str, Any]:
    """The quiet host, and each case once."""
    names = (f"{HOG}.bench.test", f"{NEIGHBOUR}.bench.test")
    return dict(json.loads(host.python("fairness.py", str(SECONDS), *names, "quiet", *CASES)))


def compare(host: Host) -> dict[str, dict[str, dict[str, float]]]:
    """The medians of some rounds, and each case as a multiple of the quiet host."""
    write_pages(host)
    rounds = [one_round(host) for _ in range(ROUNDS)]
    found = {
        case: {
            kind: {key: statistics.median(one[case][kind][key] for one in rounds) for key in numbers}
            for kind, numbers in kinds.items()
        }
        for case, kinds in rounds[0].items()
    }
    for case in CASES:
        for kind, numbers in found[case].items():
            numbers["ratio"] = numbers["p99_ms"] / found["quiet"][kind]["p99_ms"]
            numbers["failed"] = max(one[case][kind]["failed"] for one in rounds)
    return found

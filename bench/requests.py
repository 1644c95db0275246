"""Requests per second and their latency: the same page, on the same host, in turns."""

from __future__ import annotations

import re
import statistics
from typing import Any

from .host import ROOT, Host

CONFIGURATIONS = ROOT / "bench" / "engines"
SITE = "site-0001"
ROUNDS = 3
SECONDS = 5

# All three serve the document root of the same site; nginx has the very socket and pool that Apache has.
PORTS = {"proxy_fcgi": 80, "nginx_fpm": 8081, "mod_php": 8082}

START_PEERS = """
nginx -t -q -c /etc/bench/nginx.conf
nginx -c /etc/bench/nginx.conf
apache2 -f /etc/bench/mod_php.conf
"""

PAGE = """<?php
for ($i = 0, $sum = 0; $i < 1000; $i++) { $sum += $i; }
echo str_repeat("$sum ", 100), PHP_SAPI;
"""


def start_peers(host: Host) -> None:
    """Start nginx and a second Apache beside the one that the collection has set up."""
    for file in ("nginx.conf", "mod_php.conf"):
        host.write(f"/etc/bench/{file}", (CONFIGURATIONS / file).read_text())
    host.write(f"/var/www/sites/{SITE}/bench.php", PAGE)
    host.shell(START_PEERS)


def load(host: Host, port: int) -> dict[str, float]:
    """One load of a few seconds, which ends by itself."""
    words = host.run(
        *("wrk", "--threads", "2", "--connections", "16", "--duration", f"{SECONDS}s", "--latency"),
        *("--header", f"Host: {SITE}.bench.test", f"http://127.0.0.1:{port}/bench.php"),
    )
    if "Non-2xx" in words or "Socket errors" in words:
        raise SystemExit(f"bench: port {port} answered with errors:\n{words}")
    return {
        "requests_per_second": float(re.search(r"Requests/sec:\s+([0-9.]+)", words)[1]),
        "p50_ms": milliseconds(re.search(r"50%\s+(\S+)", words)[1]),
        "p99_ms": milliseconds(re.search(r"99%\s+(\S+)", words)[1]),
    }


def milliseconds(text: str) -> float:
    """A time in wrk's notation."""
    number, unit = re.fullmatch(r"([0-9.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def compare(host: Host) -> dict[str, Any]:
    """Load each engine in turn, several rounds, and take the medians."""
    start_peers(host)
    for port in PORTS.values():
        host.run(
            "curl",
            "-sfo",
            "/dev/null",
            "-H",
            f"Host: {SITE}.bench.test",
            f"http://127.0.0.1:{port}/bench.php",
        )
    rounds = [{engine: load(host, port) for engine, port in PORTS.items()} for _ in range(ROUNDS)]
    return {
        engine: {key: statistics.median(one[engine][key] for one in rounds) for key in rounds[0][engine]}
        for engine in PORTS
    }

"""Requests per second and their latency: the same page, on the same host, in turns."""

from __future__ import annotations

import json
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
sed -i "s|SOCKET|$(realpath /run/fastcgi/way/site-0001/site-0001.sock)|" /etc/bench/nginx.conf
nginx -t -q -c /etc/bench/nginx.conf
nginx -c /etc/bench/nginx.conf
apache2 -f /etc/bench/mod_php.conf
"""

# With a page that does next to nothing all time goes into what stands in front of PHP, which shows the
# servers at their most different. An application's page has PHP busy for some milliseconds.
PAGE = """<?php
for ($i = 0, $sum = 0; $i < $turns; $i++) { $sum += $i % 7; }
echo str_repeat("$sum ", 100), PHP_SAPI;
"""
PAGES = {"small": 100, "busy": 100_000}
"""Turns of the loop in each page."""


def start_peers(host: Host) -> None:
    """Start nginx and a second Apache beside the one that the collection has set up."""
    for file in ("nginx.conf", "mod_php.conf"):
        host.write(f"/etc/bench/{file}", (CONFIGURATIONS / file).read_text())
    for page, turns in PAGES.items():
        host.write(f"/var/www/sites/{SITE}/{page}.php", PAGE.replace("$turns", str(turns)))
    host.shell(START_PEERS)


def load(host: Host, port: int, page: str) -> dict[str, float]:
    """One load of a few seconds, which ends by itself."""
    return dict(json.loads(host.python("load.py", str(SECONDS), f"{SITE}.bench.test", address(port, page))))


def address(port: int, page: str) -> str:
    """Where an engine serves a page."""
    return f"http://127.0.0.1:{port}/{page}.php"


def compare(host: Host) -> dict[str, Any]:
    """Load each engine in turn, several rounds, and take the medians for each page."""
    start_peers(host)
    return {page: compared(host, page) for page in PAGES}


def compared(host: Host, page: str) -> dict[str, dict[str, float]]:
    """The engines with one page."""
    for port in PORTS.values():
        host.run("curl", "-sfo", "/dev/null", "-H", f"Host: {SITE}.bench.test", address(port, page))
    rounds = [{engine: load(host, port, page) for engine, port in PORTS.items()} for _ in range(ROUNDS)]
    found = {
        engine: {key: statistics.median(one[engine][key] for one in rounds) for key in rounds[0][engine]}
        for engine in PORTS
    }
    for numbers in found.values():
        nginx = found["nginx_fpm"]["requests_per_second"]
        numbers["ratio_to_nginx_fpm"] = numbers["requests_per_second"] / nginx
    return found

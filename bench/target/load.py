"""Load one address for some seconds; print wrk's figures and the CPU time of each request, as JSON.

usage: load.py SECONDS HOST ADDRESS
"""

import json
import os
import pathlib
import re
import subprocess
import sys

TICKS = os.sysconf("SC_CLK_TCK")
PHP = "php-fpm"
SCALES = {"us": 0.001, "ms": 1, "s": 1000}


def cpu_seconds():
    """CPU time so far of the servers together, and of PHP behind them."""
    spent = {"server": 0.0, "php": 0.0}
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            name, rest = (directory / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        except OSError:  # gone meanwhile
            continue
        # of its own, and of children that have ended: FPM's workers do after some hundred requests
        ticks = sum(map(int, rest.split()[11:15]))
        if name.startswith(PHP):
            spent["php"] += ticks / TICKS
        elif name in ("apache2", "nginx"):
            spent["server"] += ticks / TICKS
    return spent


def figure(pattern, words):
    """The first group of a pattern in what wrk says."""
    return re.search(pattern, words)[1]


def milliseconds(text):
    """A time in wrk's notation."""
    number, unit = re.fullmatch(r"([0-9.]+)(us|ms|s)", text).groups()
    return float(number) * SCALES[unit]


seconds, host, address = sys.argv[1:]
command = ["wrk", "--threads", "2", "--connections", "16", "--duration", f"{seconds}s", "--latency"]
before = cpu_seconds()
done = subprocess.run(
    [*command, "--timeout", "10s", "--header", f"Host: {host}", address], capture_output=True, text=True
)
after = cpu_seconds()
words = done.stdout + done.stderr
if done.returncode or "Non-2xx" in words or "Socket errors" in words:
    sys.exit(f"{address} answered with errors:\n{words}")
requests = int(figure(r"(\d+) requests in", words))
print(
    json.dumps(
        {
            "requests_per_second": float(figure(r"Requests/sec:\s+([0-9.]+)", words)),
            "p50_ms": milliseconds(figure(r"\n +50% +(\S+)", words)),
            "p99_ms": milliseconds(figure(r"\n +99% +(\S+)", words)),
            "server_cpu_us": (after["server"] - before["server"]) / requests * 1e6,
            "php_cpu_us": (after["php"] - before["php"]) / requests * 1e6,
        }
    )
)

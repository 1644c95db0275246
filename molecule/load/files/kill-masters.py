#!/usr/bin/python3
"""Kill the masters of sites, each while it has a request; say when each died, as JSON.

From `from` until `until`, when its last worker was gone too, a request may have been one that the killed
master was executing; outside of it none was.
"""

import json
import os
import signal
import subprocess
import sys
import time


def processes(site):
    """The master of a site, and all that it runs."""
    unit = f"fastcgi-{site}.service"
    shown = ["systemctl", "show", "--value", "--property", "MainPID,ControlGroup", unit]
    said = subprocess.run(shown, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    main = next((int(word) for word in said if word.isdigit()), 0)
    if not main:
        return 0, []
    children = f"/proc/{main}/task/{main}/children"
    try:
        with open(children, encoding="ascii") as listed:
            return main, [main, *map(int, listed.read().split())]
    except FileNotFoundError:
        return 0, []


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as status:
            return status.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def killed(site):
    deadline = time.time() + 5
    while True:
        master, all_of_them = processes(site)
        if len(all_of_them) > 1 or time.time() > deadline:
            break
        time.sleep(0.01)
    if not master:
        return None
    workers = len(all_of_them) - 1
    window = {"site": site, "master": master, "workers": workers, "from": time.time()}
    os.kill(master, signal.SIGKILL)
    while any(alive(pid) for pid in all_of_them):
        time.sleep(0.002)
    return {**window, "until": time.time()}


json.dump([window for window in map(killed, sys.argv[1:]) if window], sys.stdout)

"""Print the memory of the sites' PHP, of Apache and of systemd as JSON, in kB, shared pages divided (PSS).

Another account's figures are readable for that account alone, so each process is asked under its own user.
"""

import json
import os
import pathlib
import subprocess


def processes():
    """Each process: its number, its user, its command, and the unit that it belongs to."""
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            name = (directory / "comm").read_text().strip()
            unit = (directory / "cgroup").read_text().strip().rpartition("/")[2]
            yield directory.name, directory.stat(), name, unit
        except OSError:  # gone meanwhile
            continue


def pss(number, status):
    """The kB of one process."""
    own = ["setpriv", f"--reuid={status.st_uid}", f"--regid={status.st_gid}", "--clear-groups"]
    command = ["cat", f"/proc/{number}/smaps_rollup"]
    done = subprocess.run([*own, *command] if status.st_uid else command, capture_output=True, text=True)
    for line in done.stdout.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


totals = {part: {"processes": 0, "kB": 0} for part in ("sites", "apache", "systemd")}
units = set()
for number, status, name, unit in processes():
    if unit.startswith("fastcgi-"):
        part = "sites"
        units.add(unit)
    elif name == "apache2":
        part = "apache"
    elif number == "1":
        part = "systemd"
    else:
        continue
    if os.path.exists(f"/proc/{number}"):
        totals[part]["processes"] += 1
        totals[part]["kB"] += pss(number, status)
print(json.dumps({**totals, "active": len(units)}))

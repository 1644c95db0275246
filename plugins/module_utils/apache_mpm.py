# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which multi-processing module (MPM) Apache runs with: MPM ITK on top of prefork, or what there was before.

The MPM is one for the whole Apache and cannot change while it runs, so a change is a restart. What the host
had is written down before the first change, and given back from there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from . import services
from .host_paths import APACHE_ROOT, CONFIG_ROOT

RECORD = f"{CONFIG_ROOT}/apache_mpm.json"
"""What Apache had before MPM ITK."""

ENABLED = f"{APACHE_ROOT}/mods-enabled"
THREADED = ("mpm_event", "mpm_worker")
PREFORK = "mpm_prefork"
ITK = "mpm_itk"
USUAL = "mpm_event"
"""What the distribution's package of Apache starts with."""

CAPABILITIES = {"DAC_READ_SEARCH": 2, "SETGID": 6, "SETUID": 7, "SYS_NICE": 23}
"""What a process of MPM ITK has until it becomes a site's user, by the numbers of the kernel."""


class Refused(Exception):
    """The host cannot have MPM ITK, or its operator has not agreed; nothing was changed."""


def missing_capabilities(status: str, unit: str) -> list[str]:
    """Capabilities that no process of Apache can have.

    :param status: /proc/1/status, whose bounding set is that of the whole host, or of the container.
    :param unit: what the service manager says of the bounding set of Apache's unit; empty without one.
    """
    bounding = next(
        (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapBnd:")), -1
    )
    allowed = set(unit.upper().split())
    return [
        name
        for name, number in CAPABILITIES.items()
        if not bounding >> number & 1 or (allowed and f"CAP_{name}" not in allowed)
    ]


def other_phps(enabled: Sequence[str], php: str) -> list[str]:
    """Modules of PHP in other versions: Apache takes one alone."""
    return [module for module in enabled if re.fullmatch(r"php[0-9.]*", module) and module != php]


def way_there(enabled: Sequence[str], php: str) -> tuple[list[str], list[str]]:
    """The modules to disable and to enable for MPM ITK."""
    off = [module for module in (*other_phps(enabled, php), *THREADED) if module in enabled]
    return off, [module for module in (PREFORK, ITK, php) if module not in enabled]


def record(enabled: Sequence[str], php: str, former: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What to give back: the MPM, which of the modules were not there, and which were in their place."""
    now = {
        "mpm": next((module for module in (*THREADED, PREFORK) if module in enabled), USUAL),
        "added": [module for module in (ITK, php) if module not in enabled],
        "replaced": other_phps(enabled, php),
    }
    if former is None:
        return now
    # a version of PHP that was added for another one of these sites is nothing to give back
    return {**former, "added": list(dict.fromkeys([*former["added"], *now["added"]]))}


def way_back(enabled: Sequence[str], former: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The modules to disable and to enable, to have what the record says; first those that need others."""
    if not enabled:  # Apache did not come to be installed, or is gone
        return [], []
    off = [module for module in former["added"] if module in enabled]
    on = [module for module in former["replaced"] if module not in enabled]
    if former["mpm"] == PREFORK or former["mpm"] in enabled:
        return off, on
    return [*off, *([PREFORK] if PREFORK in enabled else [])], [former["mpm"], *on]


class Apache:
    """The host's Apache.

    :param run: carries out a command, and raises `services.ServiceError` with what it says.
    """

    def __init__(self, php: str, run: Callable[[Sequence[str]], str] = services.run) -> None:
        self.php = php
        self.run = run

    def enabled(self) -> list[str]:
        if not os.path.isdir(ENABLED):
            return []
        return sorted(name[:-5] for name in os.listdir(ENABLED) if name.endswith(".load"))

    def agree(self, take_over: bool) -> None:
        """Be sure that MPM ITK can work here, and that the operator wants it.

        :raises Refused: with what to do.
        """
        unit = ""
        if services.managed():
            shown = self.run(["systemctl", "show", "--property=LoadState,CapabilityBoundingSet", "apache2"])
            told = dict(line.split("=", 1) for line in shown.splitlines())
            unit = told.get("CapabilityBoundingSet", "") if told.get("LoadState") == "loaded" else ""
        with open("/proc/1/status", encoding="ascii", errors="replace") as status:
            missing = missing_capabilities(status.read(), unit)
        if missing:
            options = " ".join(f"--cap-add {name}" for name in missing)
            raise Refused(
                f"engine mpm_itk needs the capabilities {', '.join(CAPABILITIES)}, and no process of Apache "
                f"can have {', '.join(missing)} here: it could not become the user of a site, and would "
                f"answer 500 to every request. Nothing was changed. Give them to the container where it is "
                f"made (docker run {options}), or to the unit apache2 (CapabilityBoundingSet), or choose "
                f"another engine"
            )
        threaded = [module for module in THREADED if module in self.enabled()]
        if threaded and not take_over:
            raise Refused(
                f"Apache has the MPM {threaded[0][4:]}, and engine mpm_itk needs prefork, which would then "
                f"serve all virtual hosts of this Apache: a process for each connection, and no HTTP/2. The "
                f"packages that it needs make that change when they are installed, and Apache restarts, so "
                f"it refuses connections for a moment. Nothing was changed. Set mpm_itk_take_over: true to "
                f"have it so; when the last site has left mpm_itk, Apache goes back to {threaded[0][4:]}"
            )

    def former(self) -> dict[str, Any] | None:
        """What is written down; nothing where MPM ITK is not there, or was before us."""
        try:
            with open(RECORD, encoding="ascii") as file:
                found: dict[str, Any] = json.load(file)
        except FileNotFoundError:
            return None
        return found

    def remember(self, former: Mapping[str, Any]) -> None:
        os.makedirs(CONFIG_ROOT, 0o711, exist_ok=True)
        with open(f"{RECORD}.new", "w", encoding="ascii") as file:
            json.dump(former, file)
        os.replace(f"{RECORD}.new", RECORD)

    def forget(self) -> None:
        os.unlink(RECORD)

    def runs_with_itk(self) -> bool | None:
        """What the Apache that runs has loaded; None where none runs."""
        if not services.managed():
            return None
        pid = self.run(["systemctl", "show", "--property=MainPID", "--value", "apache2"])
        try:
            with open(f"/proc/{int(pid or 0)}/maps", encoding="utf-8", errors="replace") as maps:
                return "/mpm_itk.so" in maps.read()
        except OSError:
            return None

    def change(self, off: Sequence[str], on: Sequence[str]) -> None:
        """Disable and enable modules and restart Apache; all of it, or nothing.

        :raises services.ServiceError: with Apache's own words; everything is as it was.
        """
        try:
            self.switch(off, on)
            self.run(["apache2ctl", "-t"])
            self.restart()
        except services.ServiceError as error:
            now = self.enabled()
            self.switch(
                [module for module in reversed(on) if module in now],
                [module for module in reversed(off) if module not in now],
            )
            self.restart()
            raise services.ServiceError(f"{error}\nEverything is as it was before") from None

    def switch(self, off: Sequence[str], on: Sequence[str]) -> None:
        for module in off:
            self.run(["a2dismod", "--quiet", "--force", module])
        for module in on:
            self.run(["a2enmod", "--quiet", module])

    def restart(self) -> None:
        if services.managed():
            self.run(["systemctl", "restart", "apache2"])
            self.run(["systemctl", "is-active", "apache2"])

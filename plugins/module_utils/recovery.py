# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Put a copy of the journal's own code before the daemons' start, so that no start sees half a change.

The service does nothing unless a journal is there. It runs when the host boots, before sockets listen, and
whenever a daemon that config_set reloads, or a site's PHP, is about to start.
"""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Sequence

from . import journal, services
from .safe_files import write_file

PROGRAM = "/usr/local/lib/config_set"
SERVICE = "config-set-recovery.service"
MODULES = ("journal.py", "safe_files.py", "services.py")

MAIN = """\
import sys

from .journal import main

sys.exit(main())
"""

UNIT = f"""\
[Unit]
Description=Undo a change of configuration that was killed half way
ConditionPathExistsGlob={journal.STATE_ROOT}/*/transaction/journal.json
DefaultDependencies=no
RequiresMountsFor={journal.STATE_ROOT} {PROGRAM}
After=local-fs.target
# during a change every start of a site asks; a limit would leave out the one after a kill
StartLimitIntervalSec=0
Before=sockets.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
WorkingDirectory={os.path.dirname(PROGRAM)}
ExecStart=/usr/bin/python3 -B -m {os.path.basename(PROGRAM)}
# that there was nothing to do is not worth a line at each start of a site
LogLevelMax=notice
"""

FIRST = f"""\
# no start before a change that was killed half way is undone
[Unit]
Wants={SERVICE}
After={SERVICE}
"""


def install(daemons: Sequence[str]) -> None:
    """Bring the program, its service and its place before `daemons` up to date.

    :param daemons: services that start from files of sets, by name.
    """
    if not services.managed():
        return
    unit_root = services.UNIT_ROOT
    wanted = {f"{PROGRAM}/{name}": source_of(name) for name in MODULES}
    wanted[f"{PROGRAM}/__init__.py"] = b""
    wanted[f"{PROGRAM}/__main__.py"] = MAIN.encode()
    wanted[f"{unit_root}/{SERVICE}"] = UNIT.encode()
    for daemon in daemons:
        wanted[f"{unit_root}/{daemon.removesuffix('.service')}.service.d/config-set.conf"] = FIRST.encode()
    written = [path for path, content in wanted.items() if written_anew(path, content)]
    link = f"{unit_root}/sockets.target.wants/{SERVICE}"
    if not os.path.lexists(link):
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(f"../{SERVICE}", link)
        written.append(link)
    if any(path.startswith(unit_root) for path in written):
        services.run(["systemctl", "daemon-reload"])


def source_of(module: str) -> bytes:
    content = pkgutil.get_data(__name__.rpartition(".")[0], module)
    if content is None:
        raise FileNotFoundError(f"{module} is not part of this collection")
    return content


def written_anew(path: str, content: bytes) -> bool:
    """Write a file of ours in one step, unless it is right already."""
    try:
        with open(path, "rb") as found:
            if found.read() == content:
                return False
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    temporary = f"{path}.new"
    if os.path.lexists(temporary):
        os.unlink(temporary)
    write_file(temporary, content, 0, 0, 0o644)
    os.rename(temporary, path)
    return True

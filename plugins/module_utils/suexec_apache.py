# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The wrappers that Apache's configuration names, and the accounts that suEXEC is to run them under."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import apache_config, apache_handlers
from .source import Source, Tree


@dataclass(frozen=True)
class Named:
    """A wrapper of a virtual host.

    :param user: that of SuexecUserGroup; empty where none holds, and Apache does not ask suEXEC (SUX-03).
    :param undecided: why it cannot be told what Apache calls, or for whom.
    """

    server: str
    source: Source
    path: str = ""
    user: str = ""
    group: str = ""
    undecided: str = ""


def named_in(apache_file: str, tree: Tree) -> Iterator[Named]:
    """Each wrapper that a virtual host of a configuration has, once: of mod_fcgid, or a FastCgiServer."""
    directory = apache_file.rpartition("/")[0] or "/"
    analysis = apache_handlers.analyse(apache_config.read(tree, apache_file, directory))
    for host in analysis.hosts:
        backends = {
            str(backend.address.value): (handler, backend)
            for handler in host.handlers
            if handler.engine == "fcgid" or handler.form == "static"
            for backend in handler.backends
        }
        for command, (handler, backend) in backends.items():
            server = str(host.server_name.value or "the main server")
            account = host.suexec.value
            user, group = account if isinstance(account, tuple) and len(account) == 2 else ("", "")
            why = handler.undecided or backend.address.undecided or host.suexec.undecided
            yield Named(server, handler.source, (command.split() or [""])[0], user, group, why)

# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a configuration is read from, and where in it a value stands."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NamedTuple

LINK_LIMIT = 40


class Source(NamedTuple):  # one for each line of a host's configuration
    """A line of a file, by the path that the daemon knows it under. Lines count from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """Something in a configuration that could not be read or understood, and where."""

    source: Source
    reason: str

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


class Tree:
    """A host's files, live or as a copy below a directory.

    :param root: the directory that stands for `/`.
    """

    def __init__(self, root: str = "/") -> None:
        self.root = os.path.normpath(root)
        self._directories: dict[str, str] = {}
        self._targets: dict[str, str | None] = {}

    def real(self, path: str) -> str:
        """Where a path of the host is on this machine. In a copy no link leads out of it."""
        if self.root == "/":
            return os.path.normpath("/" + path)
        directory, name = os.path.split(path)
        if directory not in self._directories:
            self._directories[directory] = self.resolve(directory)
        return os.path.normpath(self.root + self.resolve(name, self._directories[directory]))

    def resolve(self, path: str, directory: str = "/") -> str:
        """The path of the host without links, as far as there is something; loops stay as they are.

        :param directory: where `path` begins; has no links itself.
        """
        waiting = path.split("/")[::-1]
        done = [part for part in directory.split("/") if part]
        links = 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                del done[-1:]
            elif part not in ("", "."):
                done.append(part)
                target = self._target("/".join(done))
                links += target is not None
                if target is None or links > LINK_LIMIT:
                    continue
                del done[0 if target.startswith("/") else -1 :]
                waiting += target.split("/")[::-1]
        return "/" + "/".join(done)

    def _target(self, path: str) -> str | None:
        """Where a link leads to; None for anything else. Most paths have their beginning in common."""
        if path not in self._targets:
            try:
                self._targets[path] = os.readlink(f"{self.root}/{path}")
            except (OSError, ValueError):  # no link, nothing there, or no path at all
                self._targets[path] = None
        return self._targets[path]

    def read(self, path: str) -> str:
        """The text of a file; bytes that are not UTF-8 are kept as they are.

        :raises OSError: when it cannot be read.
        """
        with open(self.real(path), "rb", buffering=0) as file:
            return file.read().decode("utf-8", "surrogateescape")

    def names(self, directory: str) -> list[str]:
        """What a directory holds, sorted; nothing where there is no such directory."""
        try:
            return sorted(os.listdir(self.real(directory)))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return []

    def is_file(self, path: str) -> bool:
        return os.path.isfile(self.real(path))

    def is_directory(self, path: str) -> bool:
        return os.path.isdir(self.real(path))

    def is_link(self, path: str) -> bool:
        directory, name = os.path.split(path)
        return os.path.islink(os.path.join(self.real(directory), name))

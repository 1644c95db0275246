# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A value of a configuration: what it is, who says so, or why that cannot be told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Generic, TypeVar

from .source import Source

T = TypeVar("T")


@dataclass(frozen=True)
class Setting(Generic[T]):
    """One value.

    :param value: None where it is not set, and where `undecided` gives the reason why it cannot be told.
    :param source: the line that says it, or that leaves it undecided.
    :param default_of: whose default it is, where no line says it.
    """

    value: T | None
    source: Source | None = None
    default_of: str = ""
    undecided: str = ""

    def __str__(self) -> str:
        if self.undecided:
            return (
                f"undecided ({self.source}: {self.undecided})"
                if self.source
                else f"undecided ({self.undecided})"
            )
        return f"{self.value} ({self.source or f'default of {self.default_of}'})"


def undecided(reason: str, source: Source | None = None) -> Setting[T]:
    return Setting(None, source, undecided=reason)


def value_of(setting: Setting[str] | None) -> str:
    """The text, empty where there is none."""
    return (setting.value or "") if setting else ""


def atoi(text: str) -> int:
    """C's: the number that a text begins with, in 32 bits; 0 where there is none."""
    match = re.match(r"[ \t\n\v\f\r]*([+-]?[0-9]+)", text)
    return int32(max(-(2**63), min(2**63 - 1, int(match.group(1)[:30])))) if match else 0


def int32(number: int) -> int:
    """As C's int holds it."""
    return (number + 2**31) % 2**32 - 2**31

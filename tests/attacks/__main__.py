"""Try every attack on every ground that standard input names; print what became of each, as JSON.

usage: python3 -m attacks [NAME OF AN ATTACK]... < grounds.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from . import victim
from .ground import Attack, Ground, attempt
from .suite import ALL


def tried(one: Attack, grounds: list[Ground]) -> Iterator[dict[str, Any]]:
    """On each ground, the weak ones last; where an attack has bitten on one of these, that will do."""
    bitten = False
    for ground in grounds:
        if ground.engine in one.engines and not (ground.weak and bitten):
            result = attempt(ground, one)
            bitten = ground.weak and result["succeeded"]
            yield result


def main() -> None:
    """Settle the victims first."""
    only = set(sys.argv[1:])
    grounds = [Ground(given) for given in json.load(sys.stdin)]
    for ground in grounds:
        victim.settle(ground)
    results = [result for one in ALL if not only or one.name in only for result in tried(one, grounds)]
    json.dump(results, sys.stdout, indent=1)


main()

"""All attacks, in the order in which they are tried and told of."""

from . import exhaustion, files, handlers, processes, programs, settings, sockets, web
from .ground import ATTACKS

KINDS = [
    kind.__name__
    # the last keep Apache and PHP busy for a while
    for kind in (handlers, settings, sockets, files, processes, programs, web, exhaustion)
]
ALL = sorted(ATTACKS, key=lambda one: KINDS.index(one.kind))

"""All attacks, in the order in which they are tried and told of."""

from . import exhaustion, files, handlers, processes, programs, settings, sockets, web
from .ground import ATTACKS

KINDS = [
    kind.__name__
    # the last keep Apache and PHP busy for a while
    for kind in (handlers, settings, sockets, files, processes, programs, web, exhaustion)
]
ALL = sorted(ATTACKS, key=lambda one: KINDS.index(one.kind))

NOT_HELD = {
    ("exhaustion: processes (fork bomb)", "mpm_itk"): (
        "what a site starts is in Apache's unit, where a limit for each account would be one for Apache too"
    ),
}
"""Attack and ground: what succeeds on a host with default settings, and why it cannot be helped."""

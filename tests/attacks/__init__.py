"""What a tenant can try against its neighbours, from inside its own site.

Runs on the host under test, with that host's Python and nothing else: `python3 -m attacks < grounds.json`
prints what became of each attack as JSON. The scenario `hostile` runs it against sites with the collection's
own settings, and against a deliberately weak host, where each attack has to succeed: one that bites nowhere
proves nothing.
"""

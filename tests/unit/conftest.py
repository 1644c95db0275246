"""Settings that all unit tests share."""

from hypothesis import settings

# A busy machine is no failure, and an example that failed belongs into a test, not into a file beside it.
settings.register_profile("unit", deadline=None, database=None)
settings.load_profile("unit")

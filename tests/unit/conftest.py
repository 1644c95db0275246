"""Settings that all unit tests share."""

import os

from hypothesis import settings

# A busy machine is no failure, and an example that failed belongs into a test, not into a file beside it.
settings.register_profile("unit", deadline=None, database=None)
# For parsers, and whatever else is worth it: HYPOTHESIS_PROFILE=many tools/unit -k any_text
settings.register_profile("many", settings.get_profile("unit"), max_examples=10_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "unit"))

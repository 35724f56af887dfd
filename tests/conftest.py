"""Fixtures for the whole suite, and how Hypothesis draws: the same for each commit, anew each night."""

import os

from hypothesis import settings

pytest_plugins = ["tests.services.fixtures", "tests.factories.databases", "tests.git_compat.fixtures"]

# No test may depend on speed, so there are no deadlines.
settings.register_profile("commit", derandomize=True, deadline=None)
settings.register_profile("nightly", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "commit"))

"""The seed of tests that draw by chance: the same for each commit, a new one each night, printed by every run."""

import os

COMMIT_SEED = 20261120


def chosen_seed() -> int:
    """Return ``TEST_SEED`` if it is set (``make test-nightly`` sets a new one), else the seed of every commit."""
    seed = int(os.environ.get("TEST_SEED", COMMIT_SEED))
    print(f"TEST_SEED={seed}")
    return seed

"""The append-only record of decisions that changed something. Start at ``record``."""

"""Releases: a tag with notes and files for people who do not build from source. Start at ``releases.py``."""

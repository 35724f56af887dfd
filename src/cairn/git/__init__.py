"""The repository engine: immutable packs in the object store, refs as rows, git as a library.

Owns stores, packs, refs, the ref log, views, ``stage`` and ``land``, the git wire protocol and everything that starts a
git child. Knows no users, no events and no HTTP. Start at ``engine``; ARCHITECTURE.md has the reasoning.
"""

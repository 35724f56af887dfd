"""Repositories: settings, collaborators, browsing, and the rules a push meets.

Owns the repository row and its names; the git data belongs to the engine (``git``). Start at ``models`` and ``access``.
"""

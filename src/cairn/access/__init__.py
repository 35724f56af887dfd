"""Authorization: actions, roles, grants, and the one rule behind ``decide()``, ``authorize()`` and ``visible()``.

Owns the grant table. Knows repositories only as a ``RepositoryScope`` (ids, visibility, role). Start at ``decide``.
"""

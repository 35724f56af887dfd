"""Authorization: actions, roles, grants, and the one rule behind ``decide()``, ``authorize()`` and ``visible()``.

Owns what gives a role: grants to people and teams, memberships of organizations and teams. Knows repositories only as
a ``RepositoryScope`` (ids, visibility, role). Start at ``decide``; ``grants`` has the ways to a role as SQL.
"""

"""Typed facts written in the transaction of the change; each subscriber becomes a job row.

Owns the event table, the registry of subscribers and the tail; features own their event types. Start at ``emit``; what
is promised to a subscriber stands in ``subscribers``.
"""

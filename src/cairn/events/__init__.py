"""Typed facts written in the transaction of the change; each subscriber becomes a job row.

Owns the event table and the registry of subscribers; features own their event types. Start at ``emit``.
"""

"""Repositories that come from another server: asking for an import, doing it, telling how far it is.

Owns the row of an import with its sealed credentials. ``start`` is what people do, ``source`` finds the other
repository through the guarded door, ``run`` and ``jobs`` bring it here. Refs land like those of any push.
"""

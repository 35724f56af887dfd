"""Blobs: put, get, range, stream, stat, list, delete, copy and signed URL over Apache OpenDAL.

Owns the one layer of retries, deadlines and the circuit breaker towards the object store; knows nothing of git or of
people. One contract suite (``tests/storage``) holds for every backend. Start at ``storage``.
"""

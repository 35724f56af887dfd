"""Durable jobs: rows that a worker leases, runs at least once and retries with back-off.

Owns the job table, leases with fencing numbers, schedules, wake-ups and dead letters; knows no job by name: features
register handlers. Start at ``queue`` (enqueue) and ``registry`` (handler, scheduled); ``worker`` is the loop.
"""

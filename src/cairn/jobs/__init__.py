"""Durable jobs: rows that a worker leases, runs at least once and retries with back-off.

Owns the job table, leases with fencing numbers, schedules and dead letters; knows no job by name: features register
handlers. Start at ``queue``.
"""

"""Mails: composed from templates, kept sealed in an outbox, handed to the operator's mail server by a job.

Owns the outbox table and what happens to a mail; not whom to write to or why. Start at ``outbox``.
"""

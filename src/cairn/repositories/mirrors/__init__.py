"""Repositories that follow another one, and those that another one follows, again and again on a schedule.

Owns the row of a mirror with its sealed credentials and when it is due. ``edit`` is what people do, ``pull`` and
``push`` are one sync each way, ``jobs`` says when; ``guard`` is what pushes meet. Refs land like those of any push.
"""

"""The life of a repository besides its code: templates, licences, stars, watching, pins, activity, deletion and return.

It reads code through ``repositories.code`` and changes refs only by the engine's stage and land. Start with
``deleted`` (what was deleted and may come back), ``stars`` and ``watching``, ``templates`` and ``activity``.
"""

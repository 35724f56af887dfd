"""The append-only record of decisions that changed something, and the seals that show if it was touched.

``record`` writes, ``queries`` and ``export`` read, ``sealing`` chains ranges of entries by their hashes, ``retention``
lets old ones go, ``verification`` finds what was changed behind the program's back. Start at ``record``.
"""

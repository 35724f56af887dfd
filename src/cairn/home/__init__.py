"""Pages and API answers that belong to no one feature: front page, dashboard, explore, profiles, the API's root.

Owns no tables and no rules; it mixes what the features below offer. Start at ``pages``.
"""

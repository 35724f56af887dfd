"""What every server package may use: settings, error families, ids, the Actor, the clock, logging.

Owns no table and opens no connection. Start at ``settings`` (what an operator can say) and
``errors`` (what every package raises).
"""

"""Who is asking: accounts, passwords, sessions, personal tokens, SSH keys.

Owns the accounts (the owner namespace); not what they may do (``access``). Start at ``authenticate``.
"""

"""Pages for people without a session, or about to lose it: join, sign in, sign out, the first administrator.

The settings of somebody who is signed in are in ``settings_pages.py``.
"""

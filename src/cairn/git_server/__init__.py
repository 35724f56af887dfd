"""Git's two doors, smart HTTP and SSH: authenticate, resolve the name, stream. No rule lives here.

Start at ``smart_http`` and ``ssh``.
"""

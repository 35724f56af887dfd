"""Git's two doors, smart HTTP and SSH: read the request, find who asks for what, stream the engine's answer.

No rule lives here: ``repositories.git_access`` and ``repositories.accept_push`` decide for both. Start at
``smart_http`` and ``ssh``; ``requests`` reads addresses and commands, ``observer`` is how a door is measured.
"""

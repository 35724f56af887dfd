"""The one guarded door for outgoing connections: nobody uses Cairn to reach what only its machine can reach.

Owns the rule for addresses (``addresses``), the check of a host with its resolution (``door``), HTTP and SSH through it
(``http``, ``ssh``) and git's way through the latter (``ssh_bridge``). Whoever connects elsewhere (webhooks, imports,
mirrors) uses one of these, or takes a ``Target`` from the door and connects to its addresses alone. Start at ``door``.
"""

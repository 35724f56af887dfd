"""Backups: one consistent copy of everything, made while people work, proved by restoring it.

``create`` makes one, ``restore`` brings one into an empty installation, ``drill`` restores the newest into a scratch
place and examines it, ``prune`` deletes what is older than the retention; ``jobs`` does all of that on a schedule.
``target`` says how a backup lies in its folder or bucket. What the live object store spares for a backup is
``cairn.git.pins``. Start reading at ``create``.
"""

"""Commits that the server makes itself, for a page, the API or a job: one service, every rule of a push.

``commit_changes`` changes files and commits; ``change_refs`` moves, makes, renames and deletes refs; ``new_objects``
makes objects that no ref reaches yet. All land through the engine with ``accept_push`` deciding, as pushes do.
"""

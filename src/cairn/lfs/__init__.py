"""Large objects of Git LFS: bytes outside of git, whose pointers lie in git.

It owns the objects of each repository, the proof that a client had their bytes, locks on paths, quotas, and the end of
what nothing names any more. It knows no HTTP and decides nothing by itself: whoever calls hands in the authorization.
Start reading at ``models`` and ``uploads``; the doors are ``git_server.lfs_http`` and ``git_server.ssh``.
"""

"""One file a version, ``NNNN_slug.py``; each follows the one before it."""

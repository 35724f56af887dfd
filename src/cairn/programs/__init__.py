"""One file a process; the only package that knows everything. Start at ``cairnd``."""

"""Texts that strangers wrote, shown as pages: Markdown, reStructuredText, tables, notebooks.

Owns the way from a text to ``SafeHtml``: what it may contain, how long it may take, where its links lead. Knows no
repository and no database. Start at ``rendering`` (what handlers call), then ``documents`` (the pure functions, which
run in a process of their own: ``render_server``), then ``sanitise``.
"""

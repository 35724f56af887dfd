"""Toolkit for pages and API: routes that declare their action, rendering, forms, CSRF, errors, paging, layout.

Owns the look (tokens, components, static files) and GitHub's response conventions; owns no
feature. Start at ``routing``.
"""

"""A repository's wiki: pages in a second store of the same repository, cloned as ``OWNER/NAME.wiki.git``.

Owns the store's beginning (``stores``), who may write (``access``), what a change of its refs meets (``landing``), the
names of pages (``page_names``) and the pages that show and edit them (``pages``, ``edit_pages``). The store itself is
the engine's like any other; nothing here knows how packs are kept.
"""

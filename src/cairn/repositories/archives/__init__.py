"""Archives of revisions for download: who may have one, what it is called, where it comes from."""

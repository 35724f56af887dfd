"""Reading a repository's code, for pages and the API: folders, files, history, blame, comparisons."""

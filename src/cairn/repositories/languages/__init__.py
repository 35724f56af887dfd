"""Languages: what files are written in, what a repository is made of, kept beside it and shown as a bar.

``table`` knows languages, ``attributes`` what a repository says of its own files, ``counting`` puts both together for a
tree, ``recorded`` keeps the result, ``jobs`` asks for it after pushes.
"""

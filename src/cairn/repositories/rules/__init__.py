"""Rulesets: what may happen to which branches and tags, decided once for every door.

``types`` says what a ruleset is, ``queries`` reads and ``edit`` changes them. A change of refs meets them twice:
``examine`` looks into its new commits while they wait in the quarantine, ``judge`` decides under the store's lock
(called by ``accept_push``, which stands in every way to change a ref). ``suites`` keeps what was found.
"""

"""The names that code written for Clara 4.0 imports (``nvflare...``), as this Rondo understands them.

Written from the published interface, not from its source. A worker that runs an MMAR puts this folder on Python's path
(``rondo.trainers._mmar_clara``); nothing else of Rondo imports what is below.
"""

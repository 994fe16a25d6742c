"""Turn the updates of a round into the next model: one module per rule, one way to run any of them.

``rondo.base.rooms.names("rondo.aggregate")`` lists the rules; ``seam`` says what a rule is, ``folding`` runs it
over files of any size.
"""

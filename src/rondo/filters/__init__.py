"""What may leave a site: one module per filter, run in a row before an update is sent.

``rondo.base.rooms.names("rondo.filters")`` lists the filters; ``seam`` says what a filter is, ``chain`` runs them.
"""

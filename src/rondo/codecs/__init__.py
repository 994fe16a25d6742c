"""Sending less: one module per codec, chosen by a job for the way up (updates) and the way down (models).

``rondo.base.rooms.names("rondo.codecs")`` lists the codecs; ``seam`` says what a codec is, ``coding`` runs it over
files of any size.
"""

"""Work in a process of its own: ``host`` is the parent's side, ``child`` runs inside, ``api`` is for users' scripts.

Theory of operation. The parent asks over a socket pair (``channel``: small JSON frames, models beside them as files);
the child does one thing at a time (``tasks`` and ``program`` train, ``work`` is the rest) and answers. ``process``
starts and ends it, ``keeper`` sees to it that nothing of it outlives the parent, ``output`` keeps what it prints.
"""

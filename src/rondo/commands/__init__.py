"""What an admin can ask for: one command a file. Console, one-shot CLI, Python API and docs list this room.

A command module has a docstring (its help), ``PERMISSION`` (an action of ``rondo.policy.actions``), frozen
``Options`` whose fields are its arguments in order, and ``run(desk, options)`` that yields rows.
"""

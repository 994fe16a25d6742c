"""The console's own commands, one a file, in the form of ``rondo.commands``: ``run`` gets ``here``, no desk."""

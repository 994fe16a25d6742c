"""``python -m rondo``: the command line."""

from rondo.cli.main import main

main()

"""`python -m securefl` is the `securefl` command."""

from securefl.cli import main

main()

"""The command line: `python -m engine COMMAND --help`. Results go to stdout, the log to stderr."""

from __future__ import annotations

from engine.commands import main

if __name__ == "__main__":
    main()

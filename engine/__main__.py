"""The command line: `python -m engine COMMAND --help`. Results go to stdout, the log to stderr."""

if __name__ == "__main__":
    # Not above: a spawned worker imports this module too, before it has asked to die with its parent.
    from engine.commands import main

    main()

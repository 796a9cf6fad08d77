"""`python -m samovar.doors.cli`: the same as `samovar`."""

from samovar.doors.cli.main import main

if __name__ == "__main__":
    main()

"""The command line: `sfar COMMAND`."""

"""The command line: thin commands over the rooms below, each importing what it needs only when it runs."""

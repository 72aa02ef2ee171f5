"""The command line: one file per verb; results on stdout, progress on stderr."""

"""The command line: parse, load settings, build, run. Heavy imports happen inside the commands."""

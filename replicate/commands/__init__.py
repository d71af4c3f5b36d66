"""The commands, a module for each section of ``replicate --help``."""

"""Several processes and several machines; the modules of the method do not know that they exist."""

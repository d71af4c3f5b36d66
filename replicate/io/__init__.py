"""Files whole or not at all, formats of corpora and vectors, downloads: nothing of the experiment."""

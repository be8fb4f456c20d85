"""Architectures, one network per file, and their step graphs. No training, no files of weights but step graphs."""

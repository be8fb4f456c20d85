"""Losses, one per file. How they add up for a network is `training/objectives.py`."""

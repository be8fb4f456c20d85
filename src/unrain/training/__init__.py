"""From a recipe to a trained network to a step graph. Needs the extra `train`."""

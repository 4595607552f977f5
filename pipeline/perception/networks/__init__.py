"""The networks of nightfleet itself, as modules: the same in training and in the night's run."""

"""What only a batch can do: look at what came later before a row is written. Joins broken tracks, fills, smooths."""

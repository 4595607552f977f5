"""A small rendered town: four cameras, people and vehicles with their own looks, and the exact truth of all of it."""

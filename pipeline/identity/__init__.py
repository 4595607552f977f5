"""Tracklets of several cameras become identities; any of them can be searched for."""

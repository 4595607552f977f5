"""The report as one web page: a module a section, each from a connection and a period to what its template shows."""

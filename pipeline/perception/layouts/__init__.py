"""What exported detectors expect and return: one module a family, and the table that chooses among them.

A layout says by which inputs and outputs it is recognised, how it wants its pictures, and turns outputs into boxes. To
add one: a class derived from `layout.Layout` in a module of its own, an entry in `table.LAYOUTS` and in
`config.OnnxLayout`, a row in docs/detectors.md.
"""

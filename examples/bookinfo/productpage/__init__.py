"""The page that a visitor sees: Flask, at the edge of the mesh."""

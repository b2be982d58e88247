"""Reviews of a book: Starlette, in three versions (no stars, black stars, red stars)."""

"""Stars of a book: Starlette over an SQLite file."""

"""Facts about a book: a plain WSGI function, no framework."""

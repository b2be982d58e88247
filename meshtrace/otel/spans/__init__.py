"""Spans of meshtrace's own, for each request and each call, by the HTTP semantic conventions."""

"""A small service, and how its tests see to it that traces stay whole."""

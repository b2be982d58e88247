"""Programs that show meshtrace at work."""

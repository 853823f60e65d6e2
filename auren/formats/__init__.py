"""How the console writes dates, whatever the browser's language."""

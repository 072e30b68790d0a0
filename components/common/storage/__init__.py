"""Where data lives: local files and object stores, behind one interface."""

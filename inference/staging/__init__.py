"""One file per published staging or response rule."""

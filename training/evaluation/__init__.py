"""How good predictions are: one module a question, from folders of files to figures with intervals."""

"""Our speed against the usual way: the same study, the same weights, each side in a process of its own."""

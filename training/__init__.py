"""Learning: configuration, stream, losses, loop, metrics, evaluation, export."""

"""The network, its weights and the engines that run it."""

"""One file from which a machine with nothing becomes nunect again."""

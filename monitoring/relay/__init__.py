"""The relay: one look at the servers of each system, kept for everybody who watches."""

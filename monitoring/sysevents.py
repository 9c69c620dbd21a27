"""What the servers say, as frozen values."""

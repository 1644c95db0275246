"""What the collection costs: time to converge, requests per second, memory. Run it with `make bench`."""

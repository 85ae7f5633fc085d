"""What Casefile is measured by, and beside which others: `make bench`."""

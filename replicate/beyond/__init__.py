"""What the paper left open: its questions, rival scores, other readings, and data of one's own."""

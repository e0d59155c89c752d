"""Reading published embeddings: lazily, by windows, as arrays with coordinates."""

"""Training: data from folders, footage and lakes; the embedder, and the one-shot detector with identity."""

"""Sources of a call: documents, chunks, sentences, and evidence lookup."""

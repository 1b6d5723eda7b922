"""What a call's text, items and paths become: documents, chunks, sentences, and evidence in them."""

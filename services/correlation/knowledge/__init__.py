"""What Mirage knows by itself of products: tables of facts, read by `domain/knowledge.py`."""

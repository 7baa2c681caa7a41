"""What decides about pictures: pure, the same for the same question."""

"""What storage does when it is asked, and what it does by itself."""

"""Rules of SpiderFoot 4: how they are read, what they see, and what follows."""

"""What starts runs by itself: the clock, requests, files, messages and mail, as definitions declare it."""

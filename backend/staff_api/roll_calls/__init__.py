"""Staff routes of roll calls: launch and results, progress, verification queue."""

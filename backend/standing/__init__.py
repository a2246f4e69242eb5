"""Standing: miss sequences, prompts, decisions, changes and locks (HN334 三、5 and 四)."""

"""Appeals: cases on their way up, what both sides say, decisions with reasons, and what they restore (HN334-4.2)."""

"""Licences of schools, their annual inspection, and measures after a failed one (MOE19-1.2, XZ69-2.1)."""

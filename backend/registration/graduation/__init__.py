"""Graduation: within the working days before leaving, after the aid data are complete (MOE19-2.3c, HRSS28-2.4)."""

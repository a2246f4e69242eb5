"""Staff endpoints of the law: policies in force, the clause report, and the simulator."""

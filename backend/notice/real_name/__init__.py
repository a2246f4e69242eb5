"""Real-name check (实名核验): do a name and an ID number belong together?"""

"""Roll calls: launch, obligations, check-in, verification, settlement, progress (HN334 三、3–4)."""

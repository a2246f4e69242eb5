"""Roll calls: launch, check-in, verification, settlement and progress (HN334 三、3–4). See README.md."""

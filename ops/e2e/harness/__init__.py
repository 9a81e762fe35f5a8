"""What the tests share: a running Coffer, its API, its processes, its clients."""

"""One conversation, one completion: the deadline, the attempts, the waits."""

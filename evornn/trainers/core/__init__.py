"""What trainers share: the interfaces of trainer and oracle, searches, gradient descent, hybrids, linear algebra."""

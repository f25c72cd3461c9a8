"""What trainers share: the two protocols, searches, gradient descent, hybrids, linear algebra."""

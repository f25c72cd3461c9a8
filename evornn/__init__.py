"""evornn: train recurrent networks by evolution, by gradient and by both, and find out which is better."""

"""Trainers, which find weights: evolution, gradient descent, hybrids. One trainer, one file, one line here."""

from evornn.catalog import Catalog
from evornn.trainers.core.trainer import Trainer

TRAINERS: Catalog[Trainer] = Catalog(
    "trainer",
    {
        "weight_guessing": "evornn.trainers.weight_guessing:WeightGuessing",
        "ridge": "evornn.trainers.ridge:Ridge",
        "simulated_annealing": "evornn.trainers.simulated_annealing:SimulatedAnnealing",
        "particle_swarm": "evornn.trainers.particle_swarm:ParticleSwarm",
        "differential_evolution": "evornn.trainers.differential_evolution:DifferentialEvolution",
        "genetic_algorithm": "evornn.trainers.genetic_algorithm:GeneticAlgorithm",
        "cosyne": "evornn.trainers.cosyne:CoSyNE",
        "cross_entropy_method": "evornn.trainers.cross_entropy_method:CrossEntropyMethod",
        "cma_es": "evornn.trainers.cma_es:CMAES",
        "pycma": "evornn.trainers.pycma:PyCMA",
        "evotorch": "evornn.trainers.evotorch:EvoTorch",
        "xnes": "evornn.trainers.xnes:XNES",
        "snes": "evornn.trainers.snes:SNES",
        "pgpe": "evornn.trainers.pgpe:PGPE",
        "openai_es": "evornn.trainers.openai_es:OpenAIES",
        "sgd": "evornn.trainers.sgd:SGD",
        "rmsprop": "evornn.trainers.rmsprop:RMSProp",
        "adam": "evornn.trainers.adam:Adam",
        "adamw": "evornn.trainers.adamw:AdamW",
        "rtrl": "evornn.trainers.rtrl:RTRL",
        "lbfgs": "evornn.trainers.lbfgs:LBFGS",
        "islands": "evornn.trainers.islands:Islands",
        "memetic": "evornn.trainers.memetic:Memetic",
        "evolve_then_refine": "evornn.trainers.evolve_then_refine:EvolveThenRefine",
        "gradient_then_evolve": "evornn.trainers.gradient_then_evolve:GradientThenEvolve",
        "gradient_injection": "evornn.trainers.gradient_injection:GradientInjection",
        "evolino": "evornn.trainers.evolino:Evolino",
    },
)

"""How weights are found: evolution, gradient, hybrids, all one kind of thing. One trainer, one file, one line here."""

from evornn.catalog import Catalog
from evornn.trainers.trainer import Trainer

TRAINERS: Catalog[Trainer] = Catalog(
    "trainer",
    {
        "weight_guessing": "evornn.trainers.weight_guessing:WeightGuessing",
        "cma_es": "evornn.trainers.cma_es:CMAES",
        "pycma": "evornn.trainers.pycma:PyCMA",
        "genetic_algorithm": "evornn.trainers.genetic_algorithm:GeneticAlgorithm",
        "snes": "evornn.trainers.snes:SNES",
        "sgd": "evornn.trainers.sgd:SGD",
        "adam": "evornn.trainers.adam:Adam",
        "memetic": "evornn.trainers.memetic:Memetic",
    },
)

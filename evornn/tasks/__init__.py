"""The catalog of tasks: sequences to map or predict, plants to control. One task, one file, one line."""

from evornn.catalog import Catalog
from evornn.tasks.core.task import Task

TASKS: Catalog[Task] = Catalog(
    "task",
    {
        "sunspots": "evornn.tasks.sunspots:Sunspots",
        "csv": "evornn.tasks.csv:CSV",
        "forecast": "evornn.tasks.forecast:Forecast",
        "classify": "evornn.tasks.classify:Classify",
        "regress": "evornn.tasks.regress:Regress",
        "label": "evornn.tasks.label:Label",
        "language": "evornn.tasks.language:Language",
        "adding": "evornn.tasks.adding:Adding",
        "tomita": "evornn.tasks.tomita:Tomita",
        "anbn": "evornn.tasks.anbn:ANBN",
        "parentheses": "evornn.tasks.parentheses:Parentheses",
        "parity": "evornn.tasks.parity:Parity",
        "reber": "evornn.tasks.reber:Reber",
        "temporal_order": "evornn.tasks.temporal_order:TemporalOrder",
        "arithmetic": "evornn.tasks.arithmetic:Arithmetic",
        "copy": "evornn.tasks.copy:Copy",
        "repeat_copy": "evornn.tasks.repeat_copy:RepeatCopy",
        "associative_recall": "evornn.tasks.associative_recall:AssociativeRecall",
        "pattern_completion": "evornn.tasks.pattern_completion:PatternCompletion",
        "rare_events": "evornn.tasks.rare_events:RareEvents",
        "motion": "evornn.tasks.motion:Motion",
        "weighted_average": "evornn.tasks.weighted_average:WeightedAverage",
        "narma": "evornn.tasks.narma:NARMA",
        "sines": "evornn.tasks.sines:Sines",
        "mackey_glass": "evornn.tasks.mackey_glass:MackeyGlass",
        "jsb_chorales": "evornn.tasks.jsb_chorales:JSBChorales",
        "logic_trees": "evornn.tasks.logic_trees:LogicTrees",
        "arithmetic_trees": "evornn.tasks.arithmetic_trees:ArithmeticTrees",
        "alkanes": "evornn.tasks.alkanes:Alkanes",
        "single_pole": "evornn.tasks.single_pole:SinglePole",
        "double_pole": "evornn.tasks.double_pole:DoublePole",
        "walker": "evornn.tasks.walker:LeggedWalker",
        "gymnasium": "evornn.tasks.gymnasium:Gymnasium",
    },
)

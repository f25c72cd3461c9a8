"""Networks on SIMD lanes of the CPU, in float32. A program (`programs`) is made from an equation and executed by a
compiled interpreter (`interpreter`); `runtime` lays out the data, calls the compiled functions and has torch's
interface."""

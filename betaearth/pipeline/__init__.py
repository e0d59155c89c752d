"""From what is asked for to products: plan, tile-years, the local runner, AOI mode."""

"""Major TOM cells, regions, and where their pixels lie."""

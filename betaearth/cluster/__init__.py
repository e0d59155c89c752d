"""The cluster: submitting regions to Argo Workflows, watching them, and looking whether all is set up."""

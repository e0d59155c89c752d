"""Items and Collections as pure functions of manifests, the catalog tree, and the publisher."""

"""A small internet on loopback: names, hosts, certificates, registries and sources, with the truth beside it."""

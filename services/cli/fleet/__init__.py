"""A fleet on this machine: the agents of Consul and Nomad as daemons, and the stores and the bus as jobs of theirs."""

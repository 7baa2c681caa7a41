"""Everything that comes over TCP: web hosts, providers, banners, WHOIS; by local address, host name and SNI."""
